"""Which weights can go, and what the others must become: saliencies, inverses, schedules."""
