"""Pictures in stores that fsspec reaches: buckets, hubs, web servers. Read in ranges, patiently, kept in a cache."""
