// Talks to a running warpd: writes, reads, and a batch in one message.
//   client [HOST:PORT]
#include <cluster/client.hpp>
#include <iostream>

int main(int argc, char** argv) {
  warp::client_options options;
  if (argc > 1) options.addresses = {argv[1]};
  auto connected = warp::client::connect(options);
  if (!connected) {
    std::cerr << "connect: " << connected.status().to_string() << '\n';
    return 1;
  }
  warp::client& client = **connected;

  // On disk before put() returns; a retry after a lost connection has one effect.
  auto written = client.put("greeting", "hello", {.level = warp::durability::sync});
  if (!written.ok()) {
    std::cerr << "put: " << written.status.to_string() << '\n';
    return 1;
  }
  auto read = client.get("greeting");
  if (!read.ok()) {
    std::cerr << "get: " << read.status.to_string() << '\n';
    return 1;
  }
  std::cout << "greeting = " << read.value << ", version " << read.version << '\n';

  warp::client_batch batch;
  for (int i = 0; i < 100; ++i) batch.put("number:" + std::to_string(i), std::to_string(i * i));
  batch.get("number:9");
  auto replies = client.execute(batch);
  std::cout << "number:9 = " << replies.back().value << '\n';
  return read.value == "hello" && replies.back().value == "81" ? 0 : 1;
}
