"""``logship seal``: finished journal segments become the open lake, Parquet files that any engine reads (docs/lake.md).

From the journal outwards: ``plan`` cuts a segment into pieces, the viewer's own ``window`` makes lines of a piece,
``columns`` says what a row is, ``batch`` gathers rows, ``parquet`` writes and reads files, ``proof`` compares what was
read back with the journal, ``manifest`` is what is published, ``keep`` what may go, ``folder`` holds the files,
``seal`` puts it together and ``run`` goes on doing so (ARCHITECTURE.md 8).
"""
