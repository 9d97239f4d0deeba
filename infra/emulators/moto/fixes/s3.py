"""S3: a bucket policy that denies something under a condition, which moto takes for denying it always."""

import json

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from . import instead


@instead(FakeBucket, "get_permission")
def get_permission(original, self, action, resource):
    if not self.policy:
        return original(self, action, resource)
    policy = json.loads(self.policy.decode())
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    policy["Statement"] = [s for s in statements if not (s.get("Effect") == "Deny" and s.get("Condition"))]
    if not policy["Statement"]:
        return PermissionResult.NEUTRAL
    bucket = FakeBucketWithPolicy(json.dumps(policy).encode())
    return original(bucket, action, resource)


class FakeBucketWithPolicy:
    """The part of a bucket that its permissions depend on."""

    def __init__(self, policy):
        self.policy = policy
