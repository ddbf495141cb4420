#include "cluster/etcd/client_options.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <string_view>

namespace warp::cluster::etcd {

namespace {

op_status refuse(std::string message) {
  return {op_code::invalid_argument, std::move(message)};
}

op_status check_endpoint(const std::string& endpoint, bool with_tls_files) {
  std::string_view rest = endpoint;
  const bool tls = rest.starts_with("https://");
  if (!tls && !rest.starts_with("http://"))
    return refuse(fmt::format("etcd endpoint \"{}\": must be http://HOST:PORT or https://HOST:PORT",
                              endpoint));
  if (!tls && with_tls_files)
    return refuse(fmt::format("etcd endpoint \"{}\" is not encrypted, but a CA, certificate or key "
                              "is set: say https:// or leave those out",
                              endpoint));
  rest.remove_prefix(tls ? 8 : 7);
  const auto colon = rest.rfind(':');
  const auto host = rest.substr(0, colon);
  unsigned port = 0;
  if (colon != std::string_view::npos) {
    const auto text = rest.substr(colon + 1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) port = 0;
  }
  if (port == 0 || port > 65'535)
    return refuse(fmt::format("etcd endpoint \"{}\": the port is missing or none: 1 to 65535, "
                              "usually 2379, and nothing behind it",
                              endpoint));
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  const auto allowed = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || (bracketed && (c == ':' || c == '[' || c == ']'));
  };
  if (host.empty() || !std::ranges::all_of(host, allowed))
    return refuse(fmt::format("etcd endpoint \"{}\": \"{}\" is no host", endpoint, host));
  return {};
}

op_status check_readable(std::string_view setting, const std::string& path) {
  if (path.empty()) return {};
  errno = 0;
  std::ifstream in{path, std::ios::binary};
  if (in && in.peek() != std::ifstream::traits_type::eof()) return {};
  return refuse(fmt::format("etcd's {} {}: cannot be read: {}", setting, path,
                            errno == 0 ? "it is empty" : std::strerror(errno)));
}

} // namespace

op_status check(const connection_options& options) {
  if (options.endpoints.empty()) return refuse("no etcd endpoint is given: as http://HOST:2379");
  const bool with_tls_files =
      !options.ca_file.empty() || !options.cert_file.empty() || !options.key_file.empty();
  for (const auto& endpoint : options.endpoints) {
    if (auto status = check_endpoint(endpoint, with_tls_files); !status.ok()) return status;
    if (std::ranges::count(options.endpoints, endpoint) != 1)
      return refuse(fmt::format("etcd endpoint \"{}\" is given twice", endpoint));
  }
  if (options.cert_file.empty() != options.key_file.empty())
    return refuse("of etcd's client certificate and its key one is missing: give both or none");
  for (const auto& [setting, path] :
       {std::pair{"CA", options.ca_file}, std::pair{"client certificate", options.cert_file},
        std::pair{"client key", options.key_file}})
    if (auto status = check_readable(setting, path); !status.ok()) return status;
  if (options.connect_timeout.count() <= 0 || options.backoff_min.count() <= 0 ||
      options.backoff_max < options.backoff_min)
    return refuse("etcd's connect timeout and back-off must be above 0, the longest back-off not "
                  "below the shortest");
  return {};
}

op_status check(const client_options& options) {
  if (auto status = check(options.connection); !status.ok()) return status;
  if (options.attempt_timeout.count() <= 0 || options.request_timeout < options.attempt_timeout)
    return refuse("etcd's attempt timeout must be above 0 and not above the request timeout");
  if (options.in_flight_max < 1 || options.in_flight_max > 256 || options.queue_max < 1 ||
      options.answer_bytes_max < 1)
    return refuse("of etcd's requests 1 to 256 may be under way, at least 1 may wait, and answers "
                  "need room");
  return {};
}

} // namespace warp::cluster::etcd
