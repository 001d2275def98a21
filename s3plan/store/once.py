"""What must not be repeated is sent once, over connections that are used again all the same.

libcurl silently sends a request again when the connection it reused turns out dead before a byte of
an answer came (lib/transfer.c, Curl_retry_request). There is no option against that; but it asks
before every sending (CURLOPT_PREREQFUNCTION), and the second time the answer is no.
"""

from __future__ import annotations

import pycurl

IDLE_SECONDS = 2
"""A connection that was idle for longer is not used for what is sent once: the server may be
closing it at this moment. Those that say when they do say five seconds or more."""

_ANY_AGE = 118
"""Seconds; libcurl's own default of CURLOPT_MAXAGE_CONN."""


class Once:
    """The guard of one handle of libcurl."""

    __slots__ = ("_curl", "_guarded", "_sent", "refused")

    def __init__(self, curl: pycurl.Curl) -> None:
        """Guards nothing until ``begin`` says so."""
        self._curl = curl
        self._guarded = False
        self._sent = False
        self.refused = False
        """Whether the last request was to be sent a second time, and was not."""

    def begin(self, only_once: bool) -> None:
        """The next request begins; ``only_once`` if it must not be repeated."""
        self._sent = self.refused = False
        if only_once is self._guarded:
            return
        self._guarded = only_once
        if only_once:
            self._curl.setopt(pycurl.PREREQFUNCTION, self._may_send)
            self._curl.setopt(pycurl.MAXAGE_CONN, IDLE_SECONDS)
        else:
            self._curl.unsetopt(pycurl.PREREQFUNCTION)
            self._curl.setopt(pycurl.MAXAGE_CONN, _ANY_AGE)

    def _may_send(self, *_: object) -> int:
        if self._sent:
            self.refused = True
            return int(pycurl.PREREQFUNC_ABORT)
        self._sent = True
        return int(pycurl.PREREQFUNC_OK)
