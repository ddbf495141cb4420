// Output: one write a turn, and what waits for the disk.

#include "cluster/resp_io_thread.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace warp::cluster {

void resp_io_thread::update_interest(resp_connection& c) {
  const auto until =
      c.marks.empty() ? c.output.size() : static_cast<std::size_t>(c.marks.front().begin - c.sent);
  std::uint32_t wanted = until != 0 ? std::uint32_t{EPOLLOUT} : 0u;
  if (!c.closing && !c.paused && !c.more) wanted |= EPOLLIN;
  if (wanted == c.interest) return;
  if ((wanted & EPOLLOUT) && !(c.interest & EPOLLOUT)) {
    ++unsent_;
    c.progress_at = clock::now();
  }
  if (!(wanted & EPOLLOUT) && (c.interest & EPOLLOUT)) --unsent_;
  c.interest = wanted;
  epoll_event event{.events = wanted, .data = {.ptr = &c}};
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event);
}

/// Is there anything that the other side's machine does not have yet? To close now would take it
/// back when there are commands that were not read: the kernel then resets the connection.
bool resp_io_thread::has_unheard(const resp_connection& c) noexcept {
  int bytes = 0;
  return ::ioctl(c.fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

void resp_io_thread::send(resp_connection& c) {
  if (c.dead) return;
  if (c.doomed) return drop(c, "it does not read its messages");
  if (!c.marks.empty()) wait_for_marks(c);
  const auto until =
      c.marks.empty() ? c.output.size() : static_cast<std::size_t>(c.marks.front().begin - c.sent);
  if (until != 0) {
    const auto n = ::send(c.fd, c.output.view().data(), until, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) return close(c);
    if (n > 0) {
      const auto left = static_cast<std::size_t>(n);
      c.output.consume(left);
      c.sent += left;
      bump(counters_.bytes_sent, left);
      if (c.interest & EPOLLOUT) c.progress_at = clock::now();
    }
  }
  if (c.output.empty()) c.pubsub_bytes = 0;
  if (c.more && c.output.size() <= shared_.options.output_buffer_bytes && !c.paused && !c.closing)
    mark_dirty(c);
  if (c.closing && c.output.empty() && !(draining_ && has_unheard(c))) return close(c);
  c.card->input_bytes.store(c.input.size(), std::memory_order_relaxed);
  c.card->output_bytes.store(c.output.size(), std::memory_order_relaxed);
  put_aside(c.output);
  put_aside(c.input);
  update_interest(c);
}

/// What is ready leaves before a command of `of` that may take long.
void resp_io_thread::send_answers(const resp_connection& of) noexcept {
  for (auto* c : dirty_) {
    if (c == &of) continue; // its input is being looked at
    try {
      send(*c);
    } catch (const std::bad_alloc&) {
      drop(*c, "no memory for its buffers");
    }
  }
}

void resp_io_thread::push(resp_connection& c, std::string_view message) {
  c.pubsub_bytes += message.size();
  if (c.pubsub_bytes > shared_.options.pubsub_buffer_bytes &&
      c.output.size() + message.size() > shared_.options.pubsub_buffer_bytes) {
    // Not closed here: it may be the one whose command runs.
    if (!c.doomed) bump(counters_.slow_consumers_dropped);
    c.doomed = c.closing = true;
    return mark_dirty(c);
  }
  c.output.append(message);
  mark_dirty(c);
}

// -- what waits for the disk
// ---------------------------------------------------------------------------------------------

void resp_io_thread::hold(resp_connection& c, std::uint64_t begin,
                          std::span<const durable_target> targets, clock::time_point deadline,
                          std::string_view instead) {
  const auto end = c.sent + c.output.size();
  for (const auto& target : targets)
    c.marks.push_back({.begin = begin,
                       .end = end,
                       .shard = target.shard,
                       .lsn = target.lsn,
                       .deadline = deadline,
                       .instead = instead});
  bump(counters_.waiting_durable, targets.size());
}

void resp_io_thread::fail_front_mark(resp_connection& c, op_code code) {
  const auto mark = c.marks.front();
  const auto from = static_cast<std::size_t>(mark.begin - c.sent);
  const auto to = static_cast<std::size_t>(mark.end - c.sent);
  std::string text{mark.instead};
  if (text.empty()) text = fmt::format("-{}\r\n", failure_text(code, shared_.engine));
  c.output.replace(from, to, text);
  bump(counters_.errors);
  const auto shift = text.size() - (to - from); // modulo 2^64, as it is used
  const auto same = std::find_if(c.marks.begin(), c.marks.end(),
                                 [&](const resp_mark& m) { return m.begin != mark.begin; });
  bump(counters_.waiting_durable, 0 - static_cast<std::uint64_t>(same - c.marks.begin()));
  c.marks.erase(c.marks.begin(), same);
  for (auto& m : c.marks) {
    m.begin += shift;
    m.end += shift;
  }
}

void resp_io_thread::release_marks(resp_connection& c) {
  std::size_t done = 0;
  const auto drop_done = [&] {
    c.marks.erase(c.marks.begin(), c.marks.begin() + static_cast<std::ptrdiff_t>(done));
    bump(counters_.waiting_durable, 0 - std::uint64_t{done});
    done = 0;
  };
  for (; done < c.marks.size();) {
    const auto& mark = c.marks[done];
    const auto state = shared_.engine.durable(mark.shard, mark.lsn);
    if (state == storage::durable_state::durable) {
      ++done;
      continue;
    }
    if (state == storage::durable_state::pending && clock::now() < mark.deadline) break;
    drop_done();
    fail_front_mark(c, state == storage::durable_state::pending ? op_code::timed_out
                                                                : op_code::outcome_unknown);
  }
  if (done != 0) drop_done();
}

/// Looks whether the disk has what the connection waits for, and if not, has the log wake us.
void resp_io_thread::wait_for_marks(resp_connection& c) {
  release_marks(c);
  if (c.marks.empty() || c.waiting) return;
  c.waiting = true;
  waiting_.push_back(&c);
  // A round that ends now either sees the count or is seen by the second look.
  waiting_count_.store(static_cast<std::uint32_t>(waiting_.size()), std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  release_marks(c);
}

void resp_io_thread::sweep_waiting() {
  for (auto* c : waiting_) {
    c->waiting = false; // until wait_for_marks(), at the end of this turn
    mark_dirty(*c);
  }
  waiting_.clear();
  waiting_count_.store(0, std::memory_order_relaxed);
}

} // namespace warp::cluster
