"""The site and the utility: meters, tariffs."""
