"""Serf's members become HAProxy's servers, with no request lost."""
