#pragma once

#include <cstddef>

namespace warp::cluster {

/// Descriptors (open files and connections) that connections leave to the log, to checkpoints and
/// to backups of a process that may have `limit` of them: what is acknowledged must reach the disk
/// however many clients there are.
[[nodiscard]] std::size_t reserved_descriptors(std::size_t limit) noexcept;

/// Whether a connection whose descriptor was just given out may be kept: false when it is one of
/// those that are reserved. (The kernel gives out the lowest number that is free, so all below it
/// are taken.) Any thread.
[[nodiscard]] bool may_keep_connection(int descriptor) noexcept;

/// Raises the limit of this process to what it may have at most (RLIMIT_NOFILE, soft to hard), and
/// returns it; shells and service managers start programs with far fewer. At the start.
std::size_t raise_descriptor_limit() noexcept;

} // namespace warp::cluster
