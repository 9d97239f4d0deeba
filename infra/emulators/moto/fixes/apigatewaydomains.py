"""API Gateway: what a domain name points to, without which the provider waits for ever."""

from moto.apigatewayv2.models import DomainName

from . import instead


@instead(DomainName, "to_json")
def domain_name(original, self):
    answer = original(self)
    region = self.domain_name_arn.split(":")[3]
    answer["domainNameConfigurations"] = [
        {
            **given,
            "domainNameStatus": "AVAILABLE",
            "apiGatewayDomainName": f"d-{self.domain_name}.execute-api.{region}.amazonaws.com",
            "hostedZoneId": "Z1",
            "ipAddressType": "ipv4",
        }
        for given in self.domain_name_configurations
    ]
    if not self.mutual_tls_authentication:
        del answer["mutualTlsAuthentication"]
    return answer
