"""Kinesis: a stream is made with its tags."""

from moto.kinesis.responses import KinesisResponse

from . import instead


@instead(KinesisResponse, "create_stream")
def create_stream(original, self):
    result = original(self)
    if tags := self._get_param("Tags"):
        self.kinesis_backend.add_tags_to_stream(None, self._get_param("StreamName"), tags)
    return result
