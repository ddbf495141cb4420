// Publish and subscribe.

#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_text.hpp"

#include <fmt/format.h>
#include <map>
#include <memory>

namespace warp::cluster {

namespace {

constexpr std::string_view subscribe_words[] = {"subscribe", "psubscribe", "ssubscribe"};
constexpr std::string_view unsubscribe_words[] = {"unsubscribe", "punsubscribe", "sunsubscribe"};

/// What a reply counts: channels and patterns together, shard channels on their own.
std::int64_t counted(const resp_connection& client, channel_kind kind) {
  if (!client.subscriptions) return 0;
  return static_cast<std::int64_t>(kind == channel_kind::shard
                                       ? client.subscriptions->names[2].size()
                                       : client.subscriptions->plain());
}

void update_card(resp_connection& client) {
  const auto count = [&](int kind) {
    return client.subscriptions
               ? static_cast<std::uint32_t>(client.subscriptions->names[kind].size())
               : 0u;
  };
  client.card->channels = count(0);
  client.card->patterns = count(1);
  client.card->shard_channels = count(2);
}

template <channel_kind Kind>
void subscribe(resp_call& c) {
  auto& client = c.client;
  if (!client.subscriptions) client.subscriptions = std::make_unique<resp_subscriptions>();
  for (const auto name : c.args.subspan(1)) {
    if (client.subscriptions->names[static_cast<int>(Kind)].emplace(name).second)
      c.shared.pubsub.subscribe(Kind, name, {c.thread.number(), client.card->id});
    c.out.push(3);
    c.out.bulk(subscribe_words[static_cast<int>(Kind)]);
    c.out.bulk(name);
    c.out.integer(counted(client, Kind));
  }
  update_card(client);
}

template <channel_kind Kind>
void unsubscribe(resp_call& c) {
  auto& client = c.client;
  const auto answer = [&](std::string_view name, bool some) {
    c.out.push(3);
    c.out.bulk(unsubscribe_words[static_cast<int>(Kind)]);
    if (some)
      c.out.bulk(name);
    else
      c.out.null();
    c.out.integer(counted(client, Kind));
  };
  const auto leave = [&](std::string_view name) {
    if (client.subscriptions) {
      auto& names = client.subscriptions->names[static_cast<int>(Kind)];
      if (const auto at = names.find(name); at != names.end()) {
        names.erase(at);
        c.shared.pubsub.unsubscribe(Kind, name, {c.thread.number(), client.card->id});
      }
    }
    answer(name, true);
  };
  if (c.args.size() > 1) {
    for (const auto name : c.args.subspan(1)) leave(name);
  } else {
    std::vector<std::string> all;
    if (client.subscriptions) {
      const auto& names = client.subscriptions->names[static_cast<int>(Kind)];
      all.assign(names.begin(), names.end());
    }
    for (const auto& name : all) leave(name);
    if (all.empty()) answer({}, false);
  }
  if (client.subscriptions && !client.subscriptions->any()) client.subscriptions.reset();
  update_card(client);
}

/// A message on its way to the connections of a thread.
struct parcel {
  channel_kind kind;
  std::string channel, message;
  struct receiver {
    std::uint64_t client;
    std::string pattern;
    bool by_pattern;
  };
  std::vector<receiver> receivers;

  [[nodiscard]] static std::string text(int protocol, channel_kind kind, std::string_view channel,
                                        std::string_view message, const std::string* pattern) {
    resp_buffer buffer;
    resp_writer out{buffer, protocol};
    out.push(pattern ? 4 : 3);
    out.bulk(pattern ? "pmessage" : kind == channel_kind::shard ? "smessage" : "message");
    if (pattern) out.bulk(*pattern);
    out.bulk(channel);
    out.bulk(message);
    return std::string{buffer.view()};
  }
};

void deliver(resp_io_thread& thread, const parcel& p) {
  for (const auto& r : p.receivers)
    if (auto* const c = thread.find(r.client))
      thread.push(*c, parcel::text(c->out.protocol(), p.kind, p.channel, p.message,
                                   r.by_pattern ? &r.pattern : nullptr));
}

template <channel_kind Kind>
void publish(resp_call& c) {
  const auto channel = c.args[1], message = c.args[2];
  std::map<std::uint32_t, std::shared_ptr<parcel>> parcels;
  const auto count = c.shared.pubsub.publish(
      Kind, channel,
      [&](const subscriber& who, const std::string* pattern) {
        auto& p = parcels[who.thread];
        if (!p)
          p = std::make_shared<parcel>(
              parcel{Kind, std::string{channel}, std::string{message}, {}});
        p->receivers.push_back(
            {who.client, pattern ? *pattern : std::string{}, pattern != nullptr});
      },
      [&] {
        for (auto& [number, p] : parcels) {
          auto& thread = *c.shared.threads[number];
          thread.post_message([&thread, p = std::move(p)] { deliver(thread, *p); },
                              number != c.thread.number());
        }
      });
  // Those of others that came before are heard before, and all before the answer.
  c.thread.take_messages();
  bump(c.thread.counts().published);
  c.out.integer(static_cast<std::int64_t>(count));
}

// -- PUBSUB
// --------------------------------------------------------------------------------------------------------------

template <channel_kind Kind>
void list_channels(resp_call& c) {
  if (c.args.size() > 3)
    return c.out.error(fmt::format("ERR unknown subcommand or wrong number of arguments for "
                                   "'{}'. Try PUBSUB HELP.",
                                   shown(c.args[1])));
  const auto names =
      c.shared.pubsub.channels(Kind, c.args.size() == 3 ? c.args[2] : std::string_view{});
  c.out.array(names.size());
  for (const auto& name : names) c.out.bulk(name);
}

template <channel_kind Kind>
void count_subscribers(resp_call& c) {
  c.out.array(2 * (c.args.size() - 2));
  for (const auto name : c.args.subspan(2)) {
    c.out.bulk(name);
    c.out.integer(static_cast<std::int64_t>(c.shared.pubsub.subscribers(Kind, name)));
  }
}

constexpr resp_subcommand pubsub_parts[] = {
    {"CHANNELS", -2, list_channels<channel_kind::channel>},
    {"NUMSUB", -2, count_subscribers<channel_kind::channel>},
    {"NUMPAT", 2,
     [](resp_call& c) {
       c.out.integer(static_cast<std::int64_t>(c.shared.pubsub.names(channel_kind::pattern)));
     }},
    {"SHARDCHANNELS", -2, list_channels<channel_kind::shard>},
    {"SHARDNUMSUB", -2, count_subscribers<channel_kind::shard>},
};

void inspect(resp_call& c) {
  constexpr std::string_view help[] = {
      "CHANNELS [<pattern>]",
      "    Return the currently active channels matching a <pattern> (default: '*').",
      "NUMPAT",
      "    Return number of subscriptions to patterns.",
      "NUMSUB [<channel> ...]",
      "    Return the number of subscribers for the specified channels, excluding",
      "    pattern subscriptions(default: no channels).",
      "SHARDCHANNELS [<pattern>]",
      "    Return the currently active shard level channels matching a <pattern> (default: '*').",
      "SHARDNUMSUB [<shardchannel> ...]",
      "    Return the number of subscribers for the specified shard level channel(s)"};
  run_subcommand(c, help);
}

using namespace command_flags;

constexpr resp_command rows[] = {
    {.name = "psubscribe",
     .arity = -2,
     .flags = command_flags::pubsub | noscript | loading | stale,
     .run = subscribe<channel_kind::pattern>,
     .group = "pubsub",
     .since = "2.0.0",
     .syntax = "pattern [pattern ...]",
     .summary = "Listens for messages published to channels that match one or more patterns.",
     .note = {}},
    {.name = "publish",
     .arity = 3,
     .flags = command_flags::pubsub | loading | stale | fast,
     .run = publish<channel_kind::channel>,
     .group = "pubsub",
     .since = "2.0.0",
     .syntax = "channel message",
     .summary = "Posts a message to a channel.",
     .note = "in a cluster: to the subscribers of this node"},
    {.name = "pubsub",
     .arity = -2,
     .flags = command_flags::pubsub | loading | stale,
     .run = inspect,
     .parts = pubsub_parts,
     .group = "pubsub",
     .since = "2.8.0",
     .syntax = "subcommand [argument ...]",
     .summary = "A container for Pub/Sub commands.",
     .note = {}},
    {.name = "punsubscribe",
     .arity = -1,
     .flags = command_flags::pubsub | noscript | loading | stale,
     .run = unsubscribe<channel_kind::pattern>,
     .group = "pubsub",
     .since = "2.0.0",
     .syntax = "[pattern ...]",
     .summary =
         "Stops listening to messages published to channels that match one or more patterns.",
     .note = {}},
    {.name = "spublish",
     .arity = 3,
     .flags = command_flags::pubsub | loading | stale | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .run = publish<channel_kind::shard>,
     .group = "pubsub",
     .since = "7.0.0",
     .syntax = "shardchannel message",
     .summary = "Posts a message to a shard channel.",
     .note = "in a cluster: at the node that serves the channel's slot"},
    {.name = "ssubscribe",
     .arity = -2,
     .flags = command_flags::pubsub | noscript | loading | stale,
     .first_key = 1,
     .last_key = -1,
     .key_step = 1,
     .run = subscribe<channel_kind::shard>,
     .group = "pubsub",
     .since = "7.0.0",
     .syntax = "shardchannel [shardchannel ...]",
     .summary = "Listens for messages published to shard channels.",
     .note = {}},
    {.name = "subscribe",
     .arity = -2,
     .flags = command_flags::pubsub | noscript | loading | stale,
     .run = subscribe<channel_kind::channel>,
     .group = "pubsub",
     .since = "2.0.0",
     .syntax = "channel [channel ...]",
     .summary = "Listens for messages published to channels.",
     .note = {}},
    {.name = "sunsubscribe",
     .arity = -1,
     .flags = command_flags::pubsub | noscript | loading | stale,
     .first_key = 1,
     .last_key = -1,
     .key_step = 1,
     .run = unsubscribe<channel_kind::shard>,
     .group = "pubsub",
     .since = "7.0.0",
     .syntax = "[shardchannel ...]",
     .summary = "Stops listening to messages posted to shard channels.",
     .note = {}},
    {.name = "unsubscribe",
     .arity = -1,
     .flags = command_flags::pubsub | noscript | loading | stale,
     .run = unsubscribe<channel_kind::channel>,
     .group = "pubsub",
     .since = "2.0.0",
     .syntax = "[channel ...]",
     .summary = "Stops listening to messages posted to channels.",
     .note = {}},
};

} // namespace

std::span<const resp_command> pubsub_commands() {
  return rows;
}

} // namespace warp::cluster
