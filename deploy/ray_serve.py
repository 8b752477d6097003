"""A model on Ray Serve, which batches, scales and routes: serve run deploy.ray_serve:app model=runs/flowers-1"""

from __future__ import annotations

import asyncio

from ray import serve

import reslearn


@serve.deployment(max_ongoing_requests=64)
class Answers:
    """One predictor in each replica; a request's body is a picture, its answer what `reslearn predict --json` says."""

    def __init__(self, model: str) -> None:
        self.predictor = reslearn.Predictor(model)

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.005)
    async def answers(self, pictures: list[bytes]) -> list[dict]:
        found = await asyncio.to_thread(lambda: list(self.predictor.stream(pictures)))
        return [one.to_json() for one in found]

    async def __call__(self, request) -> dict:
        return await self.answers(await request.body())


def app(arguments: dict[str, str]) -> serve.Application:
    """The application that `serve run` starts."""
    return Answers.bind(arguments["model"])
