#include "tests/integration/cluster/cluster_client.hpp"

#include "storage/slot.hpp"

#include <array>
#include <thread>

namespace warp::testing {

namespace {

/// Errors that say that nothing was done, and that it may be tried again.
bool refuses(std::string_view reply) {
  constexpr std::array<std::string_view, 10> words{
      "-EXECABORT", "-CLUSTERDOWN", "-TRYAGAIN", "-NOREPLICAS", "-LOADING",
      "-BUSY",      "-MASTERDOWN",  "-SHUTDOWN", "-READONLY",   "-MISCONF"};
  for (const auto word : words)
    if (reply.starts_with(word)) return true;
  return false;
}

} // namespace

resp_link& cluster_client::link_to(const std::string& address) {
  if (const auto known = links_.find(address); known != links_.end()) return known->second;
  resp_link link{address, options_.silence};
  if (!options_.level.empty()) {
    const auto reply = link.ask({"WARP.DURABILITY", options_.level});
    if (reply.starts_with("-")) {
      ++errors_[reply.substr(0, 120)];
      throw resp_link::end{};
    }
  }
  return links_.emplace(address, std::move(link)).first->second;
}

void cluster_client::distrust(const std::string& address) {
  links_.erase(address);
  distrusted_[address] = steady::now() + std::chrono::milliseconds{300};
}

std::string cluster_client::other_than(const std::string& address) {
  const auto now = steady::now();
  std::string chosen;
  for (int tries = 0; tries < 8; ++tries) {
    chosen = options_.nodes[random_() % options_.nodes.size()];
    const auto doubt = distrusted_.find(chosen);
    if (chosen != address && (doubt == distrusted_.end() || doubt->second < now)) break;
  }
  return chosen;
}

cluster_client::answer cluster_client::ask(std::string_view key,
                                           const std::vector<std::string>& words, bool writes) {
  return follow(key, [&](resp_link& link, bool& sent) {
    sent = writes;
    return link.ask(words);
  });
}

cluster_client::answer cluster_client::replace(std::string_view key, const std::string& value,
                                               std::string& seen) {
  const std::string name{key};
  return follow(key, [&](resp_link& link, bool& sent) {
    if (auto reply = link.ask({"WATCH", name}); reply != "+OK") return reply;
    seen = link.ask({"GET", name});
    if (!seen.starts_with("$") || seen == "$-1") {
      link.ask({"UNWATCH"});
      return seen;
    }
    seen.erase(0, 1);
    link.add({"MULTI"});
    link.add({"SET", name, value});
    link.add({"EXEC"});
    sent = true;
    link.send();
    link.reply();
    auto queued = link.reply(), done = link.reply();
    if (queued != "+QUEUED") { // EXEC has refused all of it
      sent = false;
      return queued;
    }
    return done == "*1" ? link.reply() : done;
  });
}

cluster_client::answer
cluster_client::follow(std::string_view key,
                       const std::function<std::string(resp_link&, bool&)>& talk) {
  auto& route = routes_[storage::shard_of(key, options_.shards).value];
  const auto end = steady::now() + options_.patience;
  std::string target = route.empty() ? other_than("") : route;
  answer result;
  for (int hops = 0;; ++hops) {
    if (steady::now() > end) return result;
    if (hops > 1) std::this_thread::sleep_for(std::chrono::milliseconds{4});
    resp_link* link = nullptr;
    try {
      link = &link_to(target);
    } catch (const resp_link::end&) {
      result.reply = "cannot connect to " + target;
      distrust(target);
      route.clear();
      target = other_than(target);
      continue;
    }
    bool sent = false;
    try {
      result.reply = talk(*link, sent);
    } catch (const resp_link::end&) {
      result.reply = "no answer from " + target;
      distrust(target);
      route.clear();
      if (sent) {
        result.became = fate::unknown;
        return result;
      }
      target = other_than(target);
      continue;
    }
    const auto& reply = result.reply;
    if (!reply.starts_with("-")) {
      route = target;
      result.became = fate::answered;
      return result;
    }
    if (reply.starts_with("-MOVED ")) {
      ++redirects_;
      const auto to = reply.substr(reply.rfind(' ') + 1);
      const auto doubt = distrusted_.find(to);
      // Where nobody answered a moment ago nobody will: the others may know more soon.
      if (to == target || (doubt != distrusted_.end() && doubt->second > steady::now())) {
        target = other_than(to);
        continue;
      }
      route = target = to;
      continue;
    }
    ++errors_[reply.substr(0, 120)];
    if (refuses(reply)) {
      target = other_than(target);
      continue;
    }
    // What says nothing of the kind may have been said after the write was done.
    if (sent && reply != "-ERR not_supported") result.became = fate::unknown;
    return result;
  }
}

} // namespace warp::testing
