"""hiredis, the C client, against a warpd as it is."""
import os
import unittest

from served import ClientTest


class Hiredis(ClientTest):
    def test_its_ordinary_work(self):
        self.run_client([os.environ["WARP_HIREDIS_CLIENT"]])


if __name__ == "__main__":
    unittest.main()
