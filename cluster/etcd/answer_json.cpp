#include "cluster/etcd/answer_json.hpp"

#include "messages/base64.hpp"

#include <charconv>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>

namespace warp::cluster::etcd {

namespace {

using json = nlohmann::json;

/// The beginning of a body as it can be shown: printable, short.
std::string shown(std::string_view body) {
  std::string text;
  for (const char c : body.substr(0, 120)) text += c >= ' ' && c <= '~' ? c : '.';
  return body.size() > 120 ? text + "..." : text;
}

/// Takes fields from objects and remembers the first thing that was wrong.
class field_taker {
public:
  /// The object of this name, or an empty one where it may be absent.
  const json& object(const json& from, const char* name) {
    static const json empty = json::object();
    const auto at = from.find(name);
    if (at == from.end()) return empty;
    if (!at->is_object()) return refuse(name, "is no object"), empty;
    return *at;
  }
  const json& array(const json& from, const char* name) {
    static const json empty = json::array();
    const auto at = from.find(name);
    if (at == from.end()) return empty;
    if (!at->is_array()) return refuse(name, "is no array"), empty;
    for (const auto& element : *at)
      if (!element.is_object()) return refuse(name, "holds something else than objects"), empty;
    return *at;
  }
  /// 64-bit numbers come as text; 32-bit ones as numbers. Absent: 0.
  template <class T>
  T number(const json& from, const char* name) {
    const auto at = from.find(name);
    if (at == from.end()) return 0;
    T value = 0;
    if (at->is_string()) {
      const auto& text = at->get_ref<const std::string&>();
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error == std::errc{} && end == text.data() + text.size()) return value;
    } else if (at->is_number_unsigned()) {
      const auto whole = at->get<std::uint64_t>();
      if (whole <= static_cast<std::uint64_t>(std::numeric_limits<T>::max()))
        return static_cast<T>(whole);
    } else if (at->is_number_integer() && std::is_signed_v<T>) {
      return static_cast<T>(at->get<std::int64_t>());
    }
    refuse(name, "is no whole number that fits");
    return 0;
  }
  /// Absent: false.
  bool flag(const json& from, const char* name) {
    const auto at = from.find(name);
    if (at == from.end()) return false;
    if (!at->is_boolean()) return refuse(name, "is neither true nor false"), false;
    return at->get<bool>();
  }
  std::string text(const json& from, const char* name) {
    const auto at = from.find(name);
    if (at == from.end()) return {};
    if (!at->is_string()) return refuse(name, "is no text"), std::string{};
    return at->get<std::string>();
  }
  std::string bytes(const json& from, const char* name) {
    const auto encoded = text(from, name);
    std::string decoded;
    if (!from_base64(encoded, decoded)) refuse(name, "is no base64");
    return decoded;
  }
  answer_header header(const json& from) {
    const auto& h = object(from, "header");
    const answer_header taken{number<std::uint64_t>(h, "cluster_id"),
                              number<std::uint64_t>(h, "member_id"),
                              number<revision_t>(h, "revision")};
    if (taken.cluster == 0) refuse("header.cluster_id", "is missing");
    return taken;
  }
  std::vector<key_value> keys(const json& from) {
    std::vector<key_value> taken;
    for (const auto& one : array(from, "kvs")) {
      key_value kv{bytes(one, "key"), bytes(one, "value"),
                   number<revision_t>(one, "create_revision"),
                   number<revision_t>(one, "mod_revision"), number<lease_id_t>(one, "lease")};
      if (kv.key.empty()) refuse("kvs.key", "is missing");
      if (kv.mod_revision == 0) refuse("kvs.mod_revision", "is missing");
      taken.push_back(std::move(kv));
    }
    return taken;
  }
  range_answer range(const json& from) {
    return {{}, keys(from), number<std::uint64_t>(from, "count")};
  }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

  void refuse(std::string_view name, std::string_view what) {
    if (wrong_.empty()) wrong_ = fmt::format("the field {} {}", name, what);
  }

private:
  std::string wrong_;
};

/// Parses the body and lets `take` fill the answer.
template <class Answer, class Take>
op_result<Answer> read(std::string_view body, std::string_view what, Take take) {
  const auto parsed = json::parse(body, nullptr, false);
  if (!parsed.is_object())
    return op_status{
        op_code::corruption,
        fmt::format("the answer to a {} is no JSON object but \"{}\" ({} bytes): is this etcd?",
                    what, shown(body), body.size())};
  field_taker taker;
  Answer answer = take(taker, parsed);
  if (!taker.wrong().empty())
    return op_status{op_code::corruption, fmt::format("in the answer to a {} {}: \"{}\"", what,
                                                      taker.wrong(), shown(body))};
  return answer;
}

/// What a stream puts around each answer.
const json& unwrapped(field_taker& taker, const json& from) {
  if (const auto error = from.find("error"); error != from.end())
    taker.refuse("error", "says " + shown(error->dump(-1, ' ', true)));
  else if (!from.contains("result"))
    taker.refuse("result", "is missing");
  return taker.object(from, "result");
}

} // namespace

op_result<range_answer> read_range(std::string_view body) {
  return read<range_answer>(body, "range", [](field_taker& taker, const json& from) {
    auto answer = taker.range(from);
    answer.header = taker.header(from);
    // Decisions compare revisions with it, so it must be there.
    if (answer.header.revision == 0) taker.refuse("header.revision", "is missing");
    return answer;
  });
}

op_result<txn_result> read_txn(std::string_view body) {
  return read<txn_result>(body, "txn", [](field_taker& taker, const json& from) {
    txn_result result;
    result.header = taker.header(from);
    if (result.header.revision == 0) taker.refuse("header.revision", "is missing");
    if (taker.flag(from, "succeeded")) {
      result.what = txn_result::outcome::done;
      return result;
    }
    result.what = txn_result::outcome::compare_failed;
    for (const auto& one : taker.array(from, "responses")) {
      auto& range = result.ranges.emplace_back(taker.range(taker.object(one, "response_range")));
      range.header = result.header;
    }
    return result;
  });
}

op_result<put_answer> read_put(std::string_view body) {
  return read<put_answer>(body, "put", [](field_taker& taker, const json& from) {
    return put_answer{taker.header(from)};
  });
}

op_result<delete_answer> read_delete(std::string_view body) {
  return read<delete_answer>(body, "delete", [](field_taker& taker, const json& from) {
    return delete_answer{taker.header(from), taker.number<std::uint64_t>(from, "deleted")};
  });
}

op_result<lease_answer> read_lease_grant(std::string_view body) {
  return read<lease_answer>(body, "lease grant", [](field_taker& taker, const json& from) {
    const lease_answer answer{taker.header(from), taker.number<lease_id_t>(from, "ID"),
                              taker.number<std::int64_t>(from, "TTL")};
    if (answer.lease == 0) taker.refuse("ID", "is missing");
    if (answer.ttl_s <= 0) taker.refuse("TTL", "is missing");
    return answer;
  });
}

op_result<lease_answer> read_lease_keepalive(std::string_view body) {
  return read<lease_answer>(body, "lease keepalive", [](field_taker& taker, const json& from) {
    const auto& inner = unwrapped(taker, from);
    const lease_answer answer{taker.header(inner), taker.number<lease_id_t>(inner, "ID"),
                              taker.number<std::int64_t>(inner, "TTL")};
    if (answer.ttl_s < 0) taker.refuse("TTL", "is negative");
    return answer;
  });
}

op_result<member_status> read_status(std::string_view body) {
  return read<member_status>(body, "status", [](field_taker& taker, const json& from) {
    member_status status{taker.header(from),
                         taker.text(from, "version"),
                         taker.number<std::uint64_t>(from, "leader"),
                         taker.number<std::uint64_t>(from, "dbSize"),
                         {}};
    const auto errors = from.find("errors");
    if (errors != from.end() && errors->is_array())
      for (const auto& error : *errors)
        if (error.is_string()) status.alarms.push_back(error.get<std::string>());
    return status;
  });
}

gateway_error read_error(long http_status, std::string_view body) {
  gateway_error error;
  std::string text;
  const auto parsed = json::parse(body, nullptr, false);
  if (parsed.is_object()) {
    // A stream wraps its error in another object.
    const auto wrapped = parsed.find("error");
    const auto& from = wrapped != parsed.end() && wrapped->is_object() ? *wrapped : parsed;
    for (const auto* name : {"message", "error"})
      if (const auto at = from.find(name); text.empty() && at != from.end() && at->is_string())
        text = shown(at->get_ref<const std::string&>());
    for (const auto* name : {"code", "grpc_code"})
      if (const auto at = from.find(name);
          error.grpc_code < 0 && at != from.end() && at->is_number_unsigned())
        error.grpc_code = static_cast<int>(std::min<std::uint64_t>(at->get<std::uint64_t>(), 99));
  }
  error.message = text.empty() ? fmt::format("HTTP status {}: \"{}\"", http_status, shown(body))
                               : fmt::format("etcd says: {}", text);
  // gRPC's codes. etcd gives those that count as refused before it proposes a change, or when it
  // looks at one as a whole before it applies any of it.
  switch (error.grpc_code) {
  case 3:  // InvalidArgument
  case 9:  // FailedPrecondition
  case 12: // Unimplemented
    error.code = op_code::invalid_argument;
    error.refused = true;
    break;
  case 5: // NotFound: a lease
    error.code = op_code::not_found;
    error.refused = true;
    break;
  case 7:  // PermissionDenied
  case 16: // Unauthenticated
    error.code = op_code::unauthorized;
    error.refused = true;
    break;
  case 8: // ResourceExhausted: the database is full, or there are too many requests
    error.code = op_code::overloaded;
    // gRPC itself says the same of an answer that is too large, when all is done.
    error.refused = text.starts_with("etcdserver: ");
    break;
  case 11: // OutOfRange: compacted, or a revision of the future
    error.code = op_code::invalid_argument;
    error.refused = true;
    break;
  default: // time-outs, changes of leader, shutting down; and whoever answers without a code
    error.code = op_code::unavailable;
  }
  return error;
}

op_result<watch_line> read_watch_line(std::string_view line) {
  return read<watch_line>(line, "watch", [](field_taker& taker, const json& from) {
    const auto& inner = unwrapped(taker, from);
    watch_line taken{taker.header(inner),
                     taker.flag(inner, "created"),
                     taker.flag(inner, "canceled"),
                     taker.number<revision_t>(inner, "compact_revision"),
                     taker.text(inner, "cancel_reason"),
                     {}};
    for (const auto& one : taker.array(inner, "events")) {
      const auto& kv = taker.object(one, "kv");
      watch_line::event event{taker.bytes(kv, "key"), taker.number<revision_t>(kv, "mod_revision"),
                              taker.text(one, "type") == "DELETE"};
      if (event.key.empty()) taker.refuse("events.kv.key", "is missing");
      if (event.mod_revision == 0) taker.refuse("events.kv.mod_revision", "is missing");
      taken.events.push_back(std::move(event));
    }
    return taken;
  });
}

} // namespace warp::cluster::etcd
