"""CloudWatch: composite alarms, which moto keeps as alarms with a rule and cannot be given."""

from moto.cloudwatch.models import Alarm
from moto.cloudwatch.responses import CloudWatchResponse

from . import missing


@missing(CloudWatchResponse)
def put_composite_alarm(self):
    return self.put_metric_alarm()


Alarm.alarm_rule = property(lambda self: self.rule)
