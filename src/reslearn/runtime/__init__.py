"""Device and precision rules, allocator, process group, random draws, atomic files, environment record."""
