"""A server that enforces bucket policies as AWS does: a proxy in front of moto, which does not.

The proxy keeps policies to itself (moto would deny objects to everybody under any Deny) and judges
every other request by them. It reads only what policies of these tests hold, with a few lines of
its own, so that s3plan's evaluator is not its own witness.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.access.test_iam import actions_of
from tests.faults.proxy import Asked, Exchange, Rule
from tests.store.scripted import answer, error

ME = "arn:aws:sts::123456789012:user/moto"
"""Whom moto's STS takes every access key for."""

_KEY = re.compile(r"Credential=([^/]+)/")


@dataclass
class Enforcer:
    """Policies by bucket, callers by access key; ``refused`` are the requests it denied."""

    callers: dict[str, str]
    policies: dict[str, Any] = field(default_factory=dict)
    refused: list[Asked] = field(default_factory=list)

    def rule(self) -> Rule:
        """Every request goes through here."""
        return Rule("enforcer", self.judge)

    async def judge(self, exchange: Exchange) -> None:
        """Deny, answer for policies, or hand on."""
        asked = exchange.asked
        if asked.bucket and self._denied(asked):
            self.refused.append(asked)
            exchange.send(
                answer(403) if asked.method == "HEAD" else error(403, "AccessDenied", "no")
            )
        elif asked.bucket and not asked.key and "policy" in asked.query:
            exchange.send(self._policy(asked))
        else:
            reply = await exchange.served()
            exchange.send(reply.head.raw + reply.raw)

    def _policy(self, asked: Asked) -> bytes:
        if asked.method == "PUT":
            self.policies[asked.bucket] = json.loads(asked.body)
            return answer(204)
        if asked.method == "DELETE":
            self.policies.pop(asked.bucket, None)
            return answer(204)
        found = self.policies.get(asked.bucket)
        if found is None:
            return error(404, "NoSuchBucketPolicy", "none")
        return answer(200, json.dumps(found))

    def _denied(self, asked: Asked) -> bool:
        policy = self.policies.get(asked.bucket, {"Statement": []})
        caller = self._caller(asked)
        for on, action in actions_of(asked):
            arn = f"arn:aws:s3:::{asked.bucket}" + (f"/{asked.key}" if on == "object" else "")
            for statement in policy["Statement"]:
                if statement["Effect"] == "Deny" and _means(statement, caller, action, arn):
                    return True
        return False

    def _caller(self, asked: Asked) -> str:
        found = _KEY.search(asked.headers.get("authorization", ""))
        return self.callers.get(found[1] if found else "", "anonymous")


def _means(statement: Any, caller: str, action: str, arn: str) -> bool:
    assert statement["Principal"] == "*"
    if "NotAction" in statement:
        if any(fnmatchcase(action, one) for one in _list(statement["NotAction"])):
            return False
    elif not any(fnmatchcase(action, one) for one in _list(statement["Action"])):
        return False
    if not any(fnmatchcase(arn, one) for one in _list(statement["Resource"])):
        return False
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            match operator, key:
                case "ArnNotEquals", "aws:PrincipalArn":
                    holds = not any(fnmatchcase(caller, one) for one in _list(values))
                case "BoolIfExists", "aws:PrincipalIsAWSService":
                    holds = _list(values) == ["false"]  # nobody here is a service
                case "Bool", "aws:SecureTransport":
                    holds = _list(values) == ["false"]  # http
                case _:
                    raise AssertionError(f"this enforcer does not know {operator} on {key}")
            if not holds:
                return False
    return True


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
