"""How warpd starts, and how it says why it does not."""
import binascii
import os
import pathlib
import signal
import socket
import subprocess
import unittest

from programs import WARPD, ProgramTest, clean_environment


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Start(ProgramTest):
    def test_without_flags_the_data_lies_in_warp_data_of_the_working_folder(self):
        server = self.start(folder=None, ports=False, environment={"WARP_RPC_LISTEN": "127.0.0.1:0", "WARP_RESP_LISTEN": "127.0.0.1:0",
                                                           "WARP_HTTP_LISTEN": "127.0.0.1:0"})
        self.tool(server, "put", "k", "v", "--durability", "sync")
        self.assertTrue((self.root / "warp-data" / "MANIFEST").exists())

    def test_one_ready_line_names_ports_folder_and_keys(self):
        server = self.start()
        self.tool(server, "put", "k", "v")
        self.assertEqual(server.stop(), 0)
        again = self.start()
        lines = [line for line in again.log().splitlines() if " is ready: " in line]
        self.assertEqual(len(lines), 1, again.log())
        self.assertIn(f"RPC on {again.address}", lines[0])
        self.assertIn(f"127.0.0.1:{again.ports['http']}", lines[0])
        self.assertIn(str(again.folder), lines[0])
        self.assertIn(" 1 keys in 64 shards", lines[0])
        self.assertEqual(again.ports["pid"], again.process.pid)

    def test_a_port_in_use_is_exit_code_4_with_the_port_and_the_way_out(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for setting in "rpc.listen", "resp.listen", "http.listen":
                with self.subTest(setting):
                    code, said = self.refused(f"--{setting}", f"127.0.0.1:{port}", folder=f"data-{setting}", ports=False,
                                              environment={"WARP_RPC_LISTEN": "127.0.0.1:0", "WARP_HTTP_LISTEN": "127.0.0.1:0"})
                    self.assertEqual(code, 4, said)
                    self.assertIn(f"port {port}", said)
                    self.assertIn("in use", said)
                    self.assertIn(f"--{setting}", said)

    def test_a_data_folder_in_use_is_exit_code_3_with_the_holders_pid(self):
        first = self.start()
        code, said = self.refused()
        self.assertEqual(code, 3, said)
        self.assertIn(str(first.process.pid), said)
        self.assertIn("--storage.folder", said)
        self.tool(first, "put", "still", "alive")

    def test_a_folder_of_somebody_else_is_exit_code_3_and_stays_as_it_was(self):
        folder = self.root / "data"
        folder.mkdir()
        (folder / "thesis.txt").write_text("not yours")
        code, said = self.refused()
        self.assertEqual(code, 3, said)
        self.assertIn(str(folder), said)
        self.assertEqual(os.listdir(folder), ["thesis.txt"])

    def test_a_folder_of_a_newer_version_is_exit_code_3_and_stays_as_it_was(self):
        self.assertEqual(self.start().stop(), 0)
        manifest = self.root / "data" / "MANIFEST"
        body = manifest.read_bytes().rsplit(b"crc32c ", 1)[0].replace(b"manifest 2\n", b"manifest 99\n", 1)
        newer = body + b"crc32c %08x\n" % crc32c(body)
        manifest.write_bytes(newer)
        code, said = self.refused()
        self.assertEqual(code, 3, said)
        self.assertIn("newer", said)
        self.assertEqual(manifest.read_bytes(), newer)

    def test_another_shard_count_than_the_folder_has_is_exit_code_3(self):
        self.assertEqual(self.start("--storage.shards", "8").stop(), 0)
        code, said = self.refused("--storage.shards", "16")
        self.assertEqual(code, 3, said)
        self.assertIn("8", said)
        self.assertIn("16", said)

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_a_folder_without_permission_is_exit_code_3(self):
        (self.root / "data").mkdir(mode=0o500)
        code, said = self.refused()
        self.assertEqual(code, 3, said)

    def test_mistakes_in_the_configuration_are_exit_code_2_with_their_line(self):
        config = self.root / "warp.toml"
        config.write_text('[storage]\nshards = 48\n\n[rcp]\nlisten = "127.0.0.1:1"\n\n[log]\nlevle = "info"\n')
        code, said = self.refused("--config", str(config))
        self.assertEqual(code, 2, said)
        self.assertIn(f"{config}:4: ", said)
        self.assertIn("did you mean [rpc]?", said)
        self.assertIn(f"{config}:8: ", said)
        self.assertIn("did you mean level?", said)
        for flags in (["--no-such-flag"], ["--storage.shards", "many"], ["--config", str(self.root / "absent.toml")], ["extra"]):
            with self.subTest(flags):
                code, said = self.refused(*flags)
                self.assertEqual(code, 2, said)
                self.assertFalse((self.root / "data").exists())

    def test_other_machines_are_let_in_only_with_insecure(self):
        code, said = self.refused("--http.listen", "0.0.0.0:0", ports=False, environment={"WARP_RPC_LISTEN": "127.0.0.1:0"})
        self.assertEqual(code, 2, said)
        self.assertIn("--insecure", said)
        server = self.start("--http.listen", "0.0.0.0:0", "--insecure", ports=False, environment={"WARP_RPC_LISTEN": "127.0.0.1:0"})
        self.assertEqual(server.http("/livez")[0], 200)

    def test_memory_only_needs_no_folder(self):
        server = self.start("--storage.memory_only", "true")
        self.tool(server, "put", "k", "v")
        self.assertEqual(self.tool(server, "get", "k"), b"v")
        self.assertIn("memory", self.tool_error(server, "put", "k", "v", "--durability", "sync", code=1))
        self.assertEqual(server.stop(), 0)
        self.assertFalse((self.root / "data").exists())

    def test_json_logs_are_one_object_a_line(self):
        import json
        server = self.start("--log.format", "json")
        self.assertEqual(server.stop(), 0)
        lines = [json.loads(line) for line in server.log().splitlines() if " is ready: " not in line]
        self.assertTrue(any("SIGTERM" in line["message"] for line in lines), server.log())
        self.assertTrue(all({"time", "level", "message"} <= line.keys() for line in lines))

    def test_help_and_version_are_exit_code_0(self):
        for flag in "--help", "--version":
            done = subprocess.run([WARPD, flag], capture_output=True, env=clean_environment())
            self.assertEqual(done.returncode, 0)
            self.assertIn(b"warpd", done.stdout + done.stderr)
        text = subprocess.run([WARPD, "--help"], capture_output=True, env=clean_environment()).stdout.decode()
        self.assertIn("Exit codes", text)
        self.assertIn("--storage.folder", text)


class Stop(ProgramTest):
    def test_sigterm_sigint_and_sighup_end_it_cleanly(self):
        for number in signal.SIGTERM, signal.SIGINT:
            server = self.start()
            self.tool(server, "put", f"key-{number}", "v", "--durability", "async")
            server.signal(number)
            self.assertEqual(server.wait(), 0, server.log())
            self.assertIn(signal.Signals(number).name, server.log())
        server = self.start()
        self.assertNotIn("no clean one", server.log())
        for number in signal.SIGTERM, signal.SIGINT:
            self.assertEqual(self.tool(server, "get", f"key-{number}"), b"v")

    def test_clients_that_hang_on_do_not_hold_up_the_stop(self):
        server = self.start("--rpc.drain_max", "500ms")
        connections = [socket.create_connection(("127.0.0.1", server.ports[port])) for port in ("rpc", "http") for _ in range(3)]
        for connection in connections[3:]:
            connection.sendall(b"GET /live")
        self.assertEqual(server.stop(), 0, server.log())
        for connection in connections:
            connection.close()

    def test_a_second_signal_ends_it_at_once(self):
        server = self.start()
        for i in range(20):
            self.tool(server, "put", f"key-{i}", "v" * 10_000, "--durability", "sync")
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGTERM)
        self.assertIn(server.wait(), (0, 1), server.log())
        again = self.start()
        for i in range(20):
            self.assertEqual(self.tool(again, "get", f"key-{i}"), b"v" * 10_000)

    def test_checkpoint_on_stop_leaves_no_log_to_read(self):
        server = self.start("--checkpoint-on-stop", "--storage.shards", "4")
        for i in range(20):
            self.tool(server, "put", f"key-{i}", "v")
        self.assertEqual(server.stop(), 0, server.log())
        again = self.start()
        for shard in self.tool_json(again, "shards"):
            self.assertEqual(shard["checkpoint_lsn"], shard["last_lsn"], shard)
        self.assertEqual(self.tool(again, "get", "key-7"), b"v")

    def test_after_sigkill_every_synced_write_is_there(self):
        server = self.start()
        for i in range(30):
            self.tool(server, "put", f"key-{i}", f"value {i}", "--durability", "sync")
        server.kill()
        again = self.start()
        self.assertIn("no clean one", again.log())
        for i in range(30):
            self.assertEqual(self.tool(again, "get", f"key-{i}"), b"value %d" % i)
        self.assertEqual(again.stop(), 0)

    def test_a_port_file_that_cannot_be_written_ends_it_with_1(self):
        code, said = self.refused(port_file=self.root / "absent" / "ports.json")
        self.assertEqual(code, 1, said)
        self.assertIn("port file", said)


if __name__ == "__main__":
    unittest.main()
