#include "messages/status.hpp"

namespace warp {

std::string_view to_string(op_code code) noexcept {
  switch (code) {
  case op_code::ok:
    return "ok";
  case op_code::not_found:
    return "not_found";
  case op_code::corruption:
    return "corruption";
  case op_code::invalid_argument:
    return "invalid_argument";
  case op_code::not_supported:
    return "not_supported";
  case op_code::io_error:
    return "io_error";
  case op_code::unavailable:
    return "unavailable";
  case op_code::timed_out:
    return "timed_out";
  case op_code::wrong_shard:
    return "wrong_shard";
  case op_code::overloaded:
    return "overloaded";
  case op_code::shutting_down:
    return "shutting_down";
  case op_code::version_mismatch:
    return "version_mismatch";
  case op_code::no_space:
    return "no_space";
  case op_code::no_replicas:
    return "no_replicas";
  case op_code::unauthorized:
    return "unauthorized";
  case op_code::outcome_unknown:
    return "outcome_unknown";
  case op_code::already_exists:
    return "already_exists";
  case op_code::wrong_type:
    return "wrong_type";
  }
  return "unknown";
}

std::string op_status::to_string() const {
  std::string out{warp::to_string(code_)};
  if (!message_.empty()) out.append(": ").append(message_);
  return out;
}

} // namespace warp
