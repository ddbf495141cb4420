#pragma once

#include "messages/status.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include <exception>
#include <string>

/// The one place where statuses become CAF errors and come back.
namespace warp::actors {

/// Code and sentence as an error of our category; an ok status is no error.
[[nodiscard]] caf::error to_error(const op_status& status);

/// Back again. An error of another category (a lost actor, a serialization fault) is `unavailable`
/// with its text.
[[nodiscard]] op_status to_status(const caf::error& error);

/// What an exception that reached an actor's edge is reported as. Never throws.
[[nodiscard]] caf::error to_error(const std::exception_ptr& thrown) noexcept;

/// Why an actor ended, for a log line: "killed", or the status.
[[nodiscard]] std::string cause_text(const caf::error& reason);

/// Teaches CAF to print our errors.
void register_errors(caf::actor_system_config& config);

} // namespace warp::actors
