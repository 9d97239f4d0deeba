"""CloudFront: cache policies and functions, which moto does not know, and which functions a behaviour has."""

import datetime

from moto.cloudfront import urls
from moto.cloudfront.models import DefaultCacheBehaviour, ViewerCertificate
from moto.cloudfront.responses import CloudFrontResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult

from . import instead, missing, state

MADE = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


class NoSuchCachePolicy(ServiceException):
    code = "NoSuchCachePolicy"
    status = 404
    message = "The cache policy does not exist."


class NoSuchFunctionExists(ServiceException):
    code = "NoSuchFunctionExists"
    status = 404
    message = "The function does not exist."


def policy(self):
    """Returns the cache policy that the request names."""
    found = state(self.backend, "cache_policies").get(self._get_param("Id"))
    if found is None:
        raise NoSuchCachePolicy
    return found


@missing(CloudFrontResponse)
def create_cache_policy(self):
    policies = state(self.backend, "cache_policies")
    made = {"Id": f"policy-{len(policies) + 1}", "LastModifiedTime": MADE, "CachePolicyConfig": self._get_param("CachePolicyConfig")}
    policies[made["Id"]] = made
    return ActionResult({"CachePolicy": made, "ETag": "1", "Location": ""})


@missing(CloudFrontResponse)
def get_cache_policy(self):
    return ActionResult({"CachePolicy": policy(self), "ETag": "1"})


@missing(CloudFrontResponse)
def update_cache_policy(self):
    policy(self)["CachePolicyConfig"] = self._get_param("CachePolicyConfig")
    return ActionResult({"CachePolicy": policy(self), "ETag": "1"})


@missing(CloudFrontResponse)
def delete_cache_policy(self):
    state(self.backend, "cache_policies").pop(policy(self)["Id"])
    return EmptyResult()


def function(self):
    """Returns the function that the request names."""
    found = state(self.backend, "functions").get(self._get_param("Name"))
    if found is None:
        raise NoSuchFunctionExists
    return found


def summary(self, stage):
    f = function(self)
    return {
        "Name": f["Name"],
        "Status": "UNASSOCIATED",
        "FunctionConfig": f["FunctionConfig"],
        "FunctionMetadata": {
            "FunctionARN": f"arn:aws:cloudfront::{self.current_account}:function/{f['Name']}",
            "Stage": stage,
            "CreatedTime": MADE,
            "LastModifiedTime": MADE,
        },
    }


def keep(self):
    state(self.backend, "functions")[self._get_param("Name")] = {name: self._get_param(name) for name in ("Name", "FunctionConfig", "FunctionCode")}
    return ActionResult({"FunctionSummary": summary(self, "DEVELOPMENT"), "ETag": "1", "Location": ""})


@missing(CloudFrontResponse)
def create_function(self):
    return keep(self)


@missing(CloudFrontResponse)
def update_function(self):
    function(self)
    return keep(self)


@missing(CloudFrontResponse)
def publish_function(self):
    return ActionResult({"FunctionSummary": summary(self, "LIVE")})


@missing(CloudFrontResponse)
def describe_function(self):
    return ActionResult({"FunctionSummary": summary(self, self._get_param("Stage", "DEVELOPMENT")), "ETag": "1"})


@missing(CloudFrontResponse)
def get_function(self):
    return ActionResult({"FunctionCode": function(self)["FunctionCode"], "ETag": "1", "ContentType": "application/octet-stream"})


@missing(CloudFrontResponse)
def delete_function(self):
    state(self.backend, "functions").pop(function(self)["Name"])
    return EmptyResult()


for path in ("cache-policy", "cache-policy/(?P<policy_id>[^/]+)", "function", "function/(?P<name>[^/]+)", "function/(?P<name>[^/]+)/publish", "function/(?P<name>[^/]+)/describe"):
    urls.url_paths.setdefault("{0}/2020-05-31/" + path + "$", CloudFrontResponse.dispatch)


@instead(DefaultCacheBehaviour, "__init__")
def cache_behaviour(original, self, config):
    original(self, config)
    self.function_associations = config.get("FunctionAssociations") or {"Quantity": 0}


@instead(ViewerCertificate, "__init__")
def viewer_certificate(original, self, config):
    original(self, config)
    # With a certificate of one's own it is not CloudFront's.
    if self.acm_certificate_arn:
        self.cloud_front_default_certificate = False
