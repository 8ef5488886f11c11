"""``logship collect``: takes appends, makes them durable in one journal for all streams, and serves them.

From the request inwards: ``payload`` looks at a body, ``admission`` decides, ``draft`` gathers what a batch adds,
``commit`` writes and answers, ``disk`` and ``folder`` hold the files. ``stream``, ``state``, ``ledger`` and ``index``
are what is known; ``journal`` is the format, ``recovery`` and ``recover`` what is made of it after a crash; ``chunks``
reads; ``retention`` says what may go; ``waiting`` who waits; ``store`` puts it together (ARCHITECTURE.md 8).
"""
