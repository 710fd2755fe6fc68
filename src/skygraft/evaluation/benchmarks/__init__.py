"""The benchmarks of the field, one file each: how an archive is read, what its classes are and in which order."""
