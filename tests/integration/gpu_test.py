"""What a running server computes beside its data path: who does it, what it takes, and what uses it. Passes with and without a device."""
import socket
import time

from programs import PATIENCE_S, ProgramTest

OPERATIONS = ["gravity", "entropy", "walk", "evolution", "heat", "horizon", "score", "train", "column"]
WORKER = "universe/physics/gpu-manager-0"


class GpuTest(ProgramTest):
    def until(self, what, holds):
        """Waits until `holds` of what() is true; returns it."""
        end = time.monotonic() + PATIENCE_S
        while True:
            seen = what()
            if holds(seen):
                return seen
            self.assertLess(time.monotonic(), end, f"still {seen}")
            time.sleep(0.05)

    def status(self, server):
        """Once the devices were looked for."""
        return self.until(lambda: self.tool_json(server, "gpu", "status"), lambda s: s["opened_s"] > 0)

    def test_the_status_says_who_computes_and_why(self):
        server = self.start("--gpu.mode", "cpu")
        seen = self.status(server)
        self.assertEqual(seen["mode"], "cpu")
        self.assertTrue(seen["backend"].startswith("CPU"), seen["backend"])
        self.assertEqual(seen["why"], "no device is asked: gpu.mode is cpu")
        self.assertEqual([o["operation"] for o in seen["operations"]], OPERATIONS)
        self.assertEqual([r["rank"] for r in seen["ranks"]], ["interactive", "background"])
        self.assertEqual((seen["devices"], seen["jobs"], seen["failed"]), ([], 0, 0))
        shown = self.tool(server, "gpu").decode()
        self.assertIn("gpu.mode is cpu", shown)
        self.assertIn("devices were looked for in", shown)
        metrics = server.http("/metrics")[1]
        self.assertIn('warp_gpu_batches_total{operation="gravity",by="cpu"} 0', metrics)
        self.assertIn("warp_gpu_devices 0", metrics)

    def test_by_default_a_device_is_used_or_the_reason_is_said(self):
        server = self.start()
        seen = self.status(server)
        self.assertEqual(seen["mode"], "auto")
        if seen["devices"]:
            self.assertTrue((server.folder / "gpu-calibration").exists())
        else:
            self.assertIn("no device", seen["why"])
            self.assertFalse((server.folder / "gpu-calibration").exists())

    def test_a_bench_runs_each_operation_on_the_server(self):
        server = self.start()
        timings = self.tool_json(server, "gpu", "bench", "--work", 2000)
        self.assertEqual([t["operation"] for t in timings], OPERATIONS)
        for t in timings:
            self.assertGreater(t["work"], 0)
            self.assertGreater(t["cpu_s"], 0)
            self.assertTrue(t["device_s"] is None or t["device_s"] > 0)
        shown = self.tool(server, "gpu", "bench", "--work", 2000).decode()
        self.assertIn("speed-up", shown)
        self.tool_error(server, "gpu", "bench", "--work", 1 << 30, code=2)

    def test_a_calibration_is_measured_and_kept_or_not_needed(self):
        server = self.start()
        done = self.tool_json(server, "gpu", "calibrate")
        self.assertEqual(done["measured"], bool(self.status(server)["devices"]))
        if not done["measured"]:
            self.assertIn("no device", done["said"])
            self.assertIn("nothing was measured", self.tool(server, "gpu", "calibrate").decode())
            return
        self.assertEqual(server.stop(), 0)
        self.assertIn("earlier calibration", self.status(self.start())["calibration"])

    def test_mode_off_computes_nothing_and_says_so(self):
        server = self.start("--gpu.mode", "off", "--physics.tier", "T3")
        self.assertEqual(self.tool_json(server, "gpu")["why"], "gpu.mode is off")
        self.assertIn("gpu.mode is off", self.tool_error(server, "gpu", "bench", code=1))
        self.assertIn("gpu.mode is off", self.tool_error(server, "gpu", "calibrate", code=1))
        self.tool(server, "put", "a", "b")

    def test_a_worker_that_is_ended_comes_back(self):
        server = self.start("--gpu.mode", "cpu")
        self.status(server)
        self.tool(server, "chaos", WORKER)
        self.assertEqual(len(self.tool_json(server, "gpu", "bench", "--work", 1000)), len(OPERATIONS))

    def test_at_tier_t3_settings_are_searched_by_the_manager(self):
        server = self.start("--gpu.mode", "cpu", "--physics.tier", "T3", "--physics.keys_one_in", "1", "--physics.samples_max", "1000000",
                            "--physics.windows_one_in", "1")
        with socket.create_connection(("127.0.0.1", server.ports["resp"]), PATIENCE_S) as link, link.makefile("rb") as replies:
            def ask(commands):
                link.sendall(b"".join(b"*%d\r\n" % len(c) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in c) for c in commands))
                for _ in commands:
                    head = replies.readline()
                    if head.startswith(b"$"):
                        replies.read(int(head[1:]) + 2)
            ask([(b"SET", b"key:%d" % i, b"x" * 100) for i in range(500)])

            def read_on():
                for _ in range(10):
                    ask([(b"GET", b"key:%d" % (i * i % 499 if i % 2 else i % 20)) for i in range(500)])
                return self.tool_json(server, "physics", "horizon")["search"]

            found = self.until(read_on, lambda s: s["searches"] > 0)
        self.assertEqual(found["trouble"], "")
        self.assertGreater(found["accesses"], 1000)
        self.assertGreater(found["settings"], 30)
        self.assertFalse(found["by_device"])
        self.assertLessEqual(found["miss_ratio"], 1)
        self.assertIn("by the CPU: small queue", self.tool(server, "physics", "horizon").decode())
        seen = self.tool_json(server, "gpu", "status")
        jobs = {o["operation"]: o["jobs"] for o in seen["operations"]}
        self.assertGreaterEqual(jobs["horizon"], 2)
        self.assertEqual(seen["failed"], 0)
        self.assertGreaterEqual({r["rank"]: r["answered"] for r in seen["ranks"]}["background"], 2)
