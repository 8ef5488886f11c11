"""The first process of a program: its output, limits and user, then the program itself in its place."""
