"""Application Auto Scaling: tags of scalable targets."""

import json

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse

from . import instead, missing, state


def tags(self):
    return state(self.applicationautoscaling_backend, "tags")


@instead(ApplicationAutoScalingResponse, "register_scalable_target")
def register_scalable_target(original, self):
    answer = original(self)
    if given := self._get_param("Tags"):
        tags(self)[json.loads(answer)["ScalableTargetARN"]] = given
    return answer


@missing(ApplicationAutoScalingResponse)
def list_tags_for_resource(self):
    return json.dumps({"Tags": tags(self).get(self._get_param("ResourceARN"), {})})


@missing(ApplicationAutoScalingResponse)
def tag_resource(self):
    tags(self).setdefault(self._get_param("ResourceARN"), {}).update(self._get_param("Tags"))
    return "{}"


@missing(ApplicationAutoScalingResponse)
def untag_resource(self):
    for key in self._get_param("TagKeys"):
        tags(self).get(self._get_param("ResourceARN"), {}).pop(key, None)
    return "{}"
