"""One thread for the networks of these tests: they are tiny, and several test processes share the processors."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Set torch to one thread, and back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
