"""``logship view``: the reading side, in a process of its own, so that no question can hurt intake.

From the disk outwards: ``journal_reader`` (with ``segments``) finds and checks bytes, ``lines`` makes lines of them,
``moment`` gives them a time, ``select`` says which are wanted, ``merge`` puts them in order, ``history`` answers what
was and what comes, ``api`` and ``web`` show it (ARCHITECTURE.md 8).

One rule carries history and live reading: a line *completes* at the LSN of the frame with which it is known to be
over. Each line completes at exactly one LSN, so two readings of adjoining LSN ranges never share a line nor miss one.
"""
