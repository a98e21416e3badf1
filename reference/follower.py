"""Carries out the keeper's orders in one serving process."""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from reference import log
from reference.errors import LinkError
from reference.eviction import Eviction
from reference.link import Link
from reference.models import Models

_LOADS_AT_ONCE = 4


class Follower:
    """Follows one catalog after the other; a model that takes long to load holds up neither others nor the next one."""

    def __init__(self, link: Link, models: Models, eviction: Eviction) -> None:
        self._link = link
        self._models = models
        self._eviction = eviction
        self._loads = ThreadPoolExecutor(_LOADS_AT_ONCE, thread_name_prefix="renew")
        self._acknowledgements = ThreadPoolExecutor(1, thread_name_prefix="settled")

    def start(self) -> None:
        """Follow in the background for as long as this process lives."""
        threading.Thread(target=self._follow, name="follow", daemon=True).start()

    def _follow(self) -> None:
        generation = eviction = 0
        while True:
            try:
                order = self._link.call("follow", self._link.process, generation, eviction)
                if order.catalog is not None:
                    generation = order.catalog.generation
                    stale = self._models.apply(order.catalog)
                    renewals = [self._loads.submit(self._models.renew, *each) for each in stale]
                    self._acknowledgements.submit(self._settled, generation, renewals)
                if order.eviction != eviction:
                    self._eviction.run()
                    eviction = order.eviction
            except LinkError:
                os._exit(1)  # without a keeper there is no server
            except Exception:  # noqa: BLE001 - following must go on whatever went wrong once
                log.failure("follow_failed", exc_info=True)
                threading.Event().wait(1.0)

    def _settled(self, generation: int, renewals: Sequence[Future[None]]) -> None:
        """Tell the keeper when all of a catalog is served."""
        for done in wait(renewals).done:
            if done.exception() is not None:
                log.failure("renewal_failed", reason=repr(done.exception()))
        try:
            self._link.call("settled", self._link.process, generation)
        except LinkError:
            os._exit(1)
