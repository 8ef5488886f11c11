"""The traps that ``logship doctor`` knows: a reader for each kind of file, and the lints over what it reads."""
