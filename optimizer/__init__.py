"""Numbers in, numbers out: the charging plan of a depot."""
