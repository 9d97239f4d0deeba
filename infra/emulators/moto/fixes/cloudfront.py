"""CloudFront: settings that nobody gave."""

from moto.cloudfront.models import DefaultCacheBehaviour, ViewerCertificate

from . import instead


@instead(ViewerCertificate, "__init__")
def viewer_certificate(original, self, config):
    original(self, config)
    if config.get("CloudFrontDefaultCertificate") in (True, "true"):
        self.ssl_support_method = ""


@instead(DefaultCacheBehaviour, "__init__")
def cache_behaviour(original, self, config):
    original(self, config)
    if config.get("CachePolicyId"):
        self.forwarded_values = None
