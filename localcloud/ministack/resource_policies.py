"""Decides by the policy of a resource whether another account may do something, with MiniStack's evaluator."""

import importlib
from typing import Any

from localcloud.iam.access import Need
from localcloud.ministack.private_names import find_names


class ResourcePolicies:
    """Evaluates policies for resources in `region`; S3 does so itself. PrivateNameError if MiniStack lacks a name."""

    def __init__(self, region: str) -> None:
        """Also sets aws:SecureTransport for all requests: other machines cannot read what is sent over loopback."""
        self._region = region
        self._iam: Any = importlib.import_module("ministack.core.iam_evaluator")
        app: Any = importlib.import_module("ministack.app")
        find_names(self._iam, "EvalContext", "evaluate_resource_policy", "pin_request_origin")
        find_names(app, "pin_request_origin")
        pin = self._iam.pin_request_origin
        app.pin_request_origin = lambda address, _secure: pin(address, secure_transport=True)

    def begin(self) -> None:
        """Say of the request that is served now that it came over loopback, for conditions on origin and transport."""
        self._iam.pin_request_origin("127.0.0.1", secure_transport=True)

    def allow(self, policy: str | None, account: str, need: Need) -> bool:
        """Whether a policy (JSON; None for a resource without one) lets the owner of `account` do what is needed."""
        self.begin()
        context = self._iam.EvalContext(
            principal_arn=f"arn:aws:iam::{account}:root",
            principal_type="Root",
            principal_account=account,
            action=need.action,
            resource_arn=need.resource,
            region=self._region,
            service_context={name.lower(): value for name, value in need.keys.items()},
        )
        decision: str = self._iam.evaluate_resource_policy(policy, context).decision
        return decision == "Allow"
