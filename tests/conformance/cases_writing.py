"""Wire cases: paths, PUT, POST, closing, producers: what the base protocol has, and what bounds it."""

from __future__ import annotations

from tests.conformance.case import (
    APPEND_BYTES_MAX,
    BY_P,
    CLOSE,
    CLOSE_BY_P,
    OCTETS,
    POST,
    PUT,
    PUT_TEXT,
    TEXT,
    ZIPPED,
    Ask,
    Case,
    by,
    digest,
    offset,
    posts,
)

BAD_PATHS = (
    "", "/", "a//b", "./a", "..", "a/../b", "%2e%2e/a", "a%2f..%2fb", "a%00b", "a%0ab", "a%20b", "a%252e",
    "%c3%a9", "a\\b", "a;b", "x" * 129, "/".join("a" * 9), "/".join(["x" * 100] * 6), "a/", "/a", "a%", "a%zz", "~/+",
)  # fmt: skip

PATHS = [
    Case(f"bad path: {path[:24] or '(empty)'} by {method}", Ask(method, path, OCTETS, body), 400, "bad-path")
    for path in BAD_PATHS
    for method, body in (("PUT", None), ("POST", b"x"), ("GET", None))
] + [
    Case("a path may be escaped once", Ask("GET", "%7e"), 200, before=(PUT,)),
    Case("a path of eight segments is a path", Ask("PUT", "~/2/3/4/5/6/7/8", OCTETS), 201),
    Case("subscriptions are not here", Ask("PUT", "__ds/x"), 501, "not-supported"),
]

CREATES = [
    Case("create", PUT, 201, headers={"Stream-Next-Offset": offset(0), "Content-Type": "application/octet-stream"}),
    Case("create says the limits", PUT, 201, headers={"Logship-Protocol": "1", "Logship-Limits": "*"}),
    Case("create again is the same", PUT, 200, before=(PUT,), headers={"Location": None}),
    Case(
        "create again does not append",
        Ask("PUT", headers=OCTETS, body=b"x"),
        200,
        before=(PUT,),
        headers={"Stream-Next-Offset": offset(0)},
    ),
    Case("create with bytes", Ask("PUT", headers=OCTETS, body=b"abc"), 201, headers={"Stream-Next-Offset": offset(3)}),
    Case(
        "create closed", Ask("PUT", headers={**OCTETS, "Stream-Closed": "true"}), 201, headers={"Stream-Closed": "true"}
    ),
    Case("create with another type", PUT_TEXT, 409, "exists", before=(PUT,), headers={"Stream-Next-Offset": offset(0)}),
    Case("create open what is closed", PUT, 409, "exists", before=(PUT, CLOSE), headers={"Stream-Closed": "true"}),
    Case("create with a malformed type", Ask("PUT", headers={"Content-Type": "nonsense"}), 400, "bad-header"),
    Case("create with expiry", Ask("PUT", headers={"Stream-TTL": "60"}), 501, "not-supported"),
    Case("create with a malformed expiry", Ask("PUT", headers={"Stream-TTL": "060"}), 400, "bad-header"),
    Case(
        "an existing one comes before expiry",
        Ask("PUT", headers={**OCTETS, "Stream-TTL": "60"}),
        409,
        "exists",
        before=(PUT,),
    ),
    Case("create a fork", Ask("PUT", headers={"Stream-Forked-From": "/v1/stream/x"}), 501, "not-supported"),
    Case("create with a source that is no object", Ask("PUT", headers={"Logship-Source": "[1]"}), 400, "bad-header"),
    Case(
        "create larger than allowed",
        Ask("PUT", headers=OCTETS, body=b"x" * (APPEND_BYTES_MAX + 1)),
        413,
        "too-large",
        {"Logship-Limits": "*"},
    ),
    Case(
        "create with a wrong digest", Ask("PUT", headers={**OCTETS, **digest(b"other")}, body=b"x"), 400, "bad-digest"
    ),
    Case("create with a bad encoding", Ask("PUT", headers=ZIPPED, body=b"no zstd"), 400, "bad-encoding"),
]

APPENDS = [
    Case("append", POST, 204, before=(PUT,), headers={"Stream-Next-Offset": offset(5)}),
    Case("append to no stream", POST, 404, "no-stream"),
    Case("append nothing", Ask("POST", headers=OCTETS, body=b""), 400, "empty-body", before=(PUT,)),
    Case("append without a type", Ask("POST", body=b"x"), 400, "bad-header", before=(PUT,)),
    Case(
        "append of another type",
        Ask("POST", headers=TEXT, body=b"x"),
        409,
        "content-type",
        {"Stream-Next-Offset": offset(0)},
        (PUT,),
    ),
    Case(
        "parameters of the type do not count",
        Ask("POST", headers={"Content-Type": "TEXT/plain; charset=x"}, body=b"x"),
        204,
        before=(PUT_TEXT,),
    ),
    Case(
        "append larger than allowed",
        Ask("POST", headers=OCTETS, body=b"x" * (APPEND_BYTES_MAX + 1)),
        413,
        "too-large",
        {"Logship-Limits": "*"},
        (PUT,),
    ),
    Case("append as large as allowed", Ask("POST", headers=OCTETS, body=b"x" * APPEND_BYTES_MAX), 204, before=(PUT,)),
    Case(
        "too large comes before no stream",
        Ask("POST", headers=OCTETS, body=b"x" * (APPEND_BYTES_MAX + 1)),
        413,
        "too-large",
    ),
    Case("close", CLOSE, 204, before=(PUT,), headers={"Stream-Closed": "true"}),
    Case("close again", CLOSE, 204, before=(PUT, CLOSE), headers={"Stream-Closed": "true"}),
    Case(
        "append to what is closed",
        POST,
        409,
        "closed",
        {"Stream-Closed": "true", "Stream-Next-Offset": offset(5)},
        (PUT, POST, CLOSE),
    ),
    Case("closed comes before the type", Ask("POST", headers=TEXT, body=b"x"), 409, "closed", before=(PUT, CLOSE)),
    Case(
        "the closing append sent again",
        CLOSE_BY_P,
        204,
        before=(PUT, BY_P, CLOSE_BY_P),
        headers={"Stream-Closed": "true", "Producer-Seq": "1"},
    ),
    Case("only true closes", posts(Stream_Closed="yes"), 204, before=(PUT,), headers={"Stream-Closed": None}),
    Case("Stream-Seq rises", posts(Stream_Seq="b"), 204, before=(PUT, posts(Stream_Seq="a"))),
    Case("Stream-Seq does not rise", posts(Stream_Seq="a"), 409, "stream-seq", before=(PUT, posts(Stream_Seq="a"))),
]

PRODUCERS = [
    Case("a producer begins", BY_P, 200, before=(PUT,), headers={"Producer-Epoch": "1", "Producer-Seq": "0"}),
    Case(
        "a producer sends again",
        BY_P,
        204,
        before=(PUT, BY_P),
        headers={"Producer-Seq": "0", "Stream-Next-Offset": offset(3)},
    ),
    Case(
        "a producer of an old epoch",
        Ask("POST", headers=by(0, 0), body=b"x"),
        403,
        "stale-epoch",
        {"Producer-Epoch": "1"},
        (PUT, BY_P),
    ),
    Case("a new epoch begins with 0", Ask("POST", headers=by(2, 1), body=b"x"), 400, "bad-epoch", before=(PUT, BY_P)),
    Case(
        "a gap",
        Ask("POST", headers=by(1, 2), body=b"x"),
        409,
        "sequence-gap",
        {"Producer-Expected-Seq": "1", "Producer-Received-Seq": "2"},
        (PUT, BY_P),
    ),
    Case(
        "an unknown producer begins with 0",
        Ask("POST", headers=by(0, 1), body=b"x"),
        409,
        "sequence-gap",
        {"Producer-Expected-Seq": "0"},
        (PUT,),
    ),
    Case("producer headers come together", posts(Producer_Id="p"), 400, "bad-header", before=(PUT,)),
    Case(
        "a producer without a name",
        posts(Producer_Id="", Producer_Epoch="0", Producer_Seq="0"),
        400,
        "bad-header",
        before=(PUT,),
    ),
    Case(
        "an epoch beyond 2^53",
        posts(Producer_Id="p", Producer_Epoch=str(2**53), Producer_Seq="0"),
        400,
        "bad-header",
        before=(PUT,),
    ),
]

WRITING = [*PATHS, *CREATES, *APPENDS, *PRODUCERS]
