"""What programs write, from their pipes into files: the spool folder, its writer, its readers."""
