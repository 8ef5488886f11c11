"""The process that brings spooled bytes to the collector."""
