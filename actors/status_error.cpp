#include "actors/status_error.hpp"

#include <caf/all.hpp>

namespace warp::actors {

namespace {

constexpr auto category = caf::atom("warp");

std::string text_of(const caf::message& context) {
  return context.match_elements<std::string>() ? context.get_as<std::string>(0) : std::string{};
}

} // namespace

caf::error to_error(const op_status& status) {
  if (status.ok()) return {};
  // CAF 0.17 keeps one byte of code
  static_assert(static_cast<unsigned>(op_code::wrong_type) < 256);
  return {static_cast<std::uint8_t>(status.code()), category, caf::make_message(status.message())};
}

op_status to_status(const caf::error& error) {
  if (!error) return {};
  if (error.category() == category)
    return {static_cast<op_code>(error.code()), text_of(error.context())};
  return {op_code::unavailable, cause_text(error)};
}

caf::error to_error(const std::exception_ptr& thrown) noexcept {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    return to_error(op_status{op_code::unavailable, std::string{"exception: "} + e.what()});
  } catch (...) {
    return to_error(op_status{op_code::unavailable, "exception of an unknown type"});
  }
}

std::string cause_text(const caf::error& reason) {
  if (!reason) return "ended normally";
  if (reason.category() == category)
    return op_status{static_cast<op_code>(reason.code()), text_of(reason.context())}.to_string();
  if (reason == caf::exit_reason::kill) return "killed";
  if (reason.category() == caf::atom("exit"))
    return to_string(static_cast<caf::exit_reason>(reason.code()));
  if (reason.category() == caf::atom("system"))
    return to_string(static_cast<caf::sec>(reason.code()));
  return to_string(reason.category()) + " " + std::to_string(reason.code());
}

void register_errors(caf::actor_system_config& config) {
  config.add_error_category(
      category, [](std::uint8_t code, caf::atom_value, const caf::message& context) {
        return op_status{static_cast<op_code>(code), text_of(context)}.to_string();
      });
}

} // namespace warp::actors
