#include "tests/simulation/trace_text.hpp"

#include <fmt/format.h>

namespace warp::testing {

using namespace cluster::replication;

namespace {

std::string text(member m) {
  return fmt::format("{}.{}", m.node.value, m.boot.value);
}

struct body_text {
  std::string operator()(const append& m) const {
    if (m.records.empty()) return {};
    return fmt::format("append e{} {}@e{} + {}..{} commit {}", m.epoch, m.previous_lsn,
                       m.previous_epoch, m.records.front().lsn, m.records.back().lsn, m.commit_lsn);
  }
  std::string operator()(const append_ack&) const { return {}; } // there are too many
  std::string operator()(const append_nack& m) const {
    return fmt::format("nack e{} need {}", m.max_epoch, m.need_from);
  }
  std::string operator()(const join& m) const {
    return fmt::format("join {}@e{} commit {}", m.last_lsn, m.last_epoch, m.commit_lsn);
  }
  std::string operator()(const rebuild& m) const { return fmt::format("rebuild e{}", m.epoch); }
  std::string operator()(const checkpoint_request&) const { return "checkpoint?"; }
  std::string operator()(const release& m) const { return fmt::format("release e{}", m.epoch); }
};

} // namespace

std::string text(const authority& a) {
  std::string isr;
  for (const auto& m : a.isr) isr += " " + text(m);
  for (const auto n : a.learners) isr += fmt::format(" ({})", n.value);
  if (a.reset_epoch != 0) isr += fmt::format(" reset in e{}", a.reset_epoch);
  return fmt::format("[e{} primary {} isr{}]", a.epoch, text(a.primary), isr);
}

std::string text(const replica& r) {
  return fmt::format("max_epoch {} log {}@e{} commit {} knows {}{}{}", r.max_epoch(),
                     r.log().last().lsn, r.log().last().epoch, r.commit_lsn(), text(r.known()),
                     r.incomplete() ? " incomplete" : "", r.repaired() ? " repaired" : "");
}

std::string text(std::size_t to, const message& m) {
  const auto body = std::visit(body_text{}, m.body);
  return body.empty() ? body : fmt::format("  {} -> {}: {}", text(m.from), to, body);
}

} // namespace warp::testing
