"""A second process that holds every acknowledged command on its own disk, and takes over with fencing."""
