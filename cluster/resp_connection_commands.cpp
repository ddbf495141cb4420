// Commands about the connection itself.

#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_text.hpp"
#include "storage/number.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::cluster {

namespace {

constexpr std::string_view wrong_password =
    "WRONGPASS invalid username-password pair or user is disabled.";

void ping(resp_call& c) {
  if (c.args.size() > 2) return arity_error(c.out, "ping");
  const auto text = c.args.size() == 2 ? c.args[1] : std::string_view{};
  if (c.client.only_listens()) {
    c.out.array(2);
    c.out.bulk("pong");
    c.out.bulk(text);
  } else if (c.args.size() == 2) {
    c.out.bulk(text);
  } else {
    c.out.simple("PONG");
  }
}

void echo(resp_call& c) {
  c.out.bulk(c.args[1]);
}

void quit(resp_call& c) {
  c.out.ok();
  c.client.closing = true;
}

void reset(resp_call& c) {
  c.thread.reset(c.client);
  c.out.simple("RESET");
}

void select(resp_call& c) {
  std::int64_t db = 0;
  if (!take_integer(c, c.args[1], db)) return;
  if (db != 0) return c.out.error("ERR DB index is out of range");
  c.out.ok();
}

void auth(resp_call& c) {
  if (c.args.size() > 3) return c.out.error(syntax_error);
  if (c.args.size() == 2)
    return c.out.error("ERR AUTH <password> called without any password configured for the "
                       "default user. Are you sure your configuration is correct?");
  if (c.args[1] != "default") return c.out.error(wrong_password);
  c.out.ok();
}

bool is_name(std::string_view name) {
  return std::ranges::all_of(name, [](char x) { return x >= '!' && x <= '~'; });
}

bool set_name(resp_call& c, std::string_view name) {
  if (!is_name(name)) {
    c.out.error("ERR Client names cannot contain spaces, newlines or special characters.");
    return false;
  }
  c.shared.clients.with_texts([&] { c.client.card->name = name; });
  return true;
}

void hello(resp_call& c) {
  int protocol = c.out.protocol();
  if (c.args.size() > 1) {
    const auto asked = storage::parse_number(c.args[1]);
    if (!asked) return c.out.error("ERR Protocol version is not an integer or out of range");
    if (*asked < 2 || *asked > 3) return c.out.error("NOPROTO unsupported protocol version");
    protocol = static_cast<int>(*asked);
  }
  std::optional<std::string_view> name;
  for (std::size_t i = 2; i < c.args.size(); ++i) {
    const auto more = c.args.size() - 1 - i;
    if (same_word(c.args[i], "AUTH") && more >= 2) {
      if (c.args[i + 1] != "default") return c.out.error(wrong_password);
      i += 2;
    } else if (same_word(c.args[i], "SETNAME") && more >= 1) {
      name = c.args[++i];
      if (!is_name(*name))
        return c.out.error(
            "ERR Client names cannot contain spaces, newlines or special characters.");
    } else {
      return c.out.error(fmt::format("ERR Syntax error in HELLO option '{}'", c.args[i]));
    }
  }
  if (name && !set_name(c, *name)) return;
  c.out.set_protocol(protocol);
  c.client.card->protocol = static_cast<std::uint8_t>(protocol);
  c.out.map(7);
  c.out.bulk("server");
  c.out.bulk("redis");
  c.out.bulk("version");
  c.out.bulk(redis_version);
  c.out.bulk("proto");
  c.out.integer(protocol);
  c.out.bulk("id");
  c.out.integer(static_cast<std::int64_t>(c.client.card->id));
  c.out.bulk("mode");
  c.out.bulk(c.shared.options.cluster != nullptr ? "cluster" : "standalone");
  c.out.bulk("role");
  c.out.bulk("master");
  c.out.bulk("modules");
  c.out.array(0);
}

// -- CLIENT
// --------------------------------------------------------------------------------------------------------------

std::int64_t now_of(resp_call& c) {
  return static_cast<std::int64_t>(c.shared.now_ms());
}

bool is_subscriber(const client_card& card) {
  return card.channels + card.patterns + card.shard_channels != 0;
}

/// Is it of the type that Redis calls so? Nothing: there is no such type.
std::optional<bool> is_of_type(const client_card& card, std::string_view type) {
  if (same_word(type, "normal")) return !is_subscriber(card);
  if (same_word(type, "pubsub")) return is_subscriber(card);
  for (const auto* none : {"master", "replica", "slave"})
    if (same_word(type, none)) return false;
  return std::nullopt;
}

void client_list(resp_call& c) {
  std::optional<std::string_view> type;
  std::vector<std::uint64_t> ids;
  if (c.args.size() == 4 && same_word(c.args[2], "TYPE")) {
    type = c.args[3];
    if (!is_of_type(*c.client.card, *type))
      return c.out.error(fmt::format("ERR Unknown client type '{}'", shown(*type)));
  } else if (c.args.size() > 3 && same_word(c.args[2], "ID")) {
    for (const auto text : c.args.subspan(3)) {
      const auto id = storage::parse_number(text);
      if (!id || *id < 1) return c.out.error("ERR Invalid client ID");
      ids.push_back(static_cast<std::uint64_t>(*id));
    }
  } else if (c.args.size() != 2) {
    return c.out.error(syntax_error);
  }
  std::string text;
  for (const auto& card : c.shared.clients.all()) {
    if (type && !*is_of_type(*card, *type)) continue;
    if (!ids.empty() && std::ranges::find(ids, card->id) == ids.end()) continue;
    text += describe_client(c.shared.clients, *card, now_of(c));
    text += '\n';
  }
  c.out.verbatim(text);
}

struct kill_filter {
  std::optional<std::uint64_t> id;
  std::optional<std::string_view> type, user, address, local_address;
  bool skip_me = true;

  [[nodiscard]] bool fits(const client_card& card, const client_card& me) const {
    return (!id || card.id == *id) && (!type || *is_of_type(card, *type)) &&
           (!address || card.address == *address) &&
           (!local_address || card.local_address == *local_address) &&
           !(skip_me && card.id == me.id);
  }
};

bool take_filter(resp_call& c, kill_filter& f) {
  const auto refuse = [&](std::string_view text) {
    c.out.error(text);
    return false;
  };
  for (std::size_t i = 2; i < c.args.size(); i += 2) {
    if (i + 1 == c.args.size()) return refuse(syntax_error);
    const auto word = c.args[i], value = c.args[i + 1];
    if (same_word(word, "ID")) {
      const auto id = storage::parse_number(value);
      if (!id || *id < 1) return refuse("ERR client-id should be greater than 0");
      f.id = static_cast<std::uint64_t>(*id);
    } else if (same_word(word, "TYPE")) {
      f.type = value;
      if (!is_of_type(*c.client.card, value))
        return refuse(fmt::format("ERR Unknown client type '{}'", shown(value)));
    } else if (same_word(word, "ADDR")) {
      f.address = value;
    } else if (same_word(word, "LADDR")) {
      f.local_address = value;
    } else if (same_word(word, "USER")) {
      if (value != "default") return refuse(fmt::format("ERR No such user '{}'", shown(value)));
    } else if (same_word(word, "SKIPME")) {
      if (!same_word(value, "yes") && !same_word(value, "no")) return refuse(syntax_error);
      f.skip_me = same_word(value, "yes");
    } else {
      return refuse(syntax_error);
    }
  }
  return true;
}

void client_kill(resp_call& c) {
  kill_filter f;
  const bool by_address = c.args.size() == 3;
  if (by_address) {
    f.address = c.args[2];
    f.skip_me = false;
  } else if (!take_filter(c, f)) {
    return;
  }
  std::int64_t killed = 0;
  for (const auto& card : c.shared.clients.all()) {
    if (!f.fits(*card, *c.client.card)) continue;
    ++killed;
    auto& thread = *c.shared.threads[card->thread];
    const bool self = card->id == c.client.card->id;
    if (&thread == &c.thread)
      thread.kill(card->id, self);
    else
      thread.post([&thread, id = card->id] { thread.kill(id, false); });
  }
  if (!by_address) return c.out.integer(killed);
  if (killed == 0) return c.out.error("ERR No such client");
  c.out.ok();
}

void client_pause(resp_call& c) {
  if (c.args.size() > 4) return subcommand_error(c);
  const auto timeout = storage::parse_number(c.args[2]);
  if (!timeout) return c.out.error("ERR timeout is not an integer or out of range");
  if (*timeout < 0) return c.out.error("ERR timeout is negative");
  bool writes_only = false;
  if (c.args.size() == 4) {
    writes_only = same_word(c.args[3], "WRITE");
    if (!writes_only && !same_word(c.args[3], "ALL"))
      return c.out.error("ERR CLIENT PAUSE mode must be WRITE or ALL");
  }
  constexpr std::int64_t most = std::int64_t{1} << 52;
  c.shared.pause_writes_only = writes_only;
  c.shared.pause_until_ms = now_of(c) + std::min(*timeout, most);
  c.out.ok();
}

void client_reply(resp_call& c) {
  using replies = resp_connection::replies;
  const auto word = c.args[2];
  if (same_word(word, "ON")) {
    c.client.reply_mode = replies::on;
    c.out.ok();
  } else if (same_word(word, "OFF")) {
    c.client.reply_mode = replies::off;
  } else if (same_word(word, "SKIP")) {
    if (c.client.reply_mode != replies::off) c.client.reply_mode = replies::skip_next;
  } else {
    c.out.error(syntax_error);
  }
}

void client_setinfo(resp_call& c) {
  const bool name = same_word(c.args[2], "LIB-NAME");
  if (!name && !same_word(c.args[2], "LIB-VER"))
    return c.out.error(fmt::format("ERR Unrecognized option '{}'", shown(c.args[2])));
  if (!is_name(c.args[3]))
    return c.out.error(fmt::format("ERR {} cannot contain spaces, newlines or special characters.",
                                   lower_case(c.args[2])));
  c.shared.clients.with_texts(
      [&] { (name ? c.client.card->library : c.client.card->library_version) = c.args[3]; });
  c.out.ok();
}

/// Nobody is ever blocked in a command.
void client_unblock(resp_call& c) {
  if (c.args.size() > 4) return subcommand_error(c);
  if (c.args.size() == 4 && !same_word(c.args[3], "TIMEOUT") && !same_word(c.args[3], "ERROR"))
    return c.out.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  if (std::int64_t id = 0; take_integer(c, c.args[2], id)) c.out.integer(0);
}

void client_trackinginfo(resp_call& c) {
  c.out.map(3);
  c.out.bulk("flags");
  c.out.set(1);
  c.out.bulk("off");
  c.out.bulk("redirect");
  c.out.integer(-1);
  c.out.bulk("prefixes");
  c.out.array(0);
}

bool take_on_off(resp_call& c, bool& on) {
  on = same_word(c.args[2], "ON");
  if (on || same_word(c.args[2], "OFF")) return true;
  c.out.error(syntax_error);
  return false;
}

constexpr std::string_view no_tracking =
    "ERR client side caching is not supported: watch keys by the RPC port instead";

constexpr resp_subcommand client_parts[] = {
    {"ID", 2, [](resp_call& c) { c.out.integer(static_cast<std::int64_t>(c.client.card->id)); }},
    {"SETNAME", 3,
     [](resp_call& c) {
       if (set_name(c, c.args[2])) c.out.ok();
     }},
    {"GETNAME", 2,
     [](resp_call& c) {
       const auto name = c.shared.clients.with_texts([&] { return c.client.card->name; });
       if (name.empty())
         c.out.null();
       else
         c.out.bulk(name);
     }},
    {"LIST", -2, client_list},
    {"INFO", 2,
     [](resp_call& c) {
       c.out.verbatim(describe_client(c.shared.clients, *c.client.card, now_of(c)) + "\n");
     }},
    {"KILL", -3, client_kill},
    {"PAUSE", -3, client_pause},
    {"UNPAUSE", 2,
     [](resp_call& c) {
       c.shared.pause_until_ms = 0;
       for (auto& thread : c.shared.threads)
         thread->post([t = thread.get()] { t->resume_paused(); });
       c.out.ok();
     }},
    {"REPLY", 3, client_reply},
    {"SETINFO", 4, client_setinfo},
    {"NO-EVICT", 3,
     [](resp_call& c) {
       bool on = false;
       if (!take_on_off(c, on)) return;
       c.client.card->no_evict = on;
       c.out.ok();
     }},
    {"NO-TOUCH", 3,
     [](resp_call& c) {
       if (bool on = false; take_on_off(c, on)) c.out.ok();
     }},
    {"GETREDIR", 2, [](resp_call& c) { c.out.integer(-1); }},
    {"UNBLOCK", -3, client_unblock},
    {"TRACKING", -3,
     [](resp_call& c) {
       bool on = false;
       if (!take_on_off(c, on)) return;
       if (on) return c.out.error(no_tracking);
       c.out.ok();
     }},
    {"TRACKINGINFO", 2, client_trackinginfo},
    {"CACHING", 3,
     [](resp_call& c) {
       c.out.error("ERR CLIENT CACHING can be called only when the client is in tracking mode with "
                   "OPTIN or OPTOUT mode enabled");
     }},
};

void client(resp_call& c) {
  constexpr std::string_view help[] = {
      "GETNAME",
      "    Return the name of the current connection.",
      "ID",
      "    Return the ID of the current connection.",
      "INFO",
      "    Return information about the current client connection.",
      "KILL <ip:port>",
      "    Kill connection made from <ip:port>.",
      "KILL <option> <value> [<option> <value> [...]]",
      "    Kill connections. Options: ADDR, LADDR, TYPE, USER, "
      "SKIPME, ID.",
      "LIST [options ...]",
      "    Return information about client connections. Options: "
      "TYPE, ID.",
      "NO-EVICT (ON|OFF)",
      "    Protect current client connection from eviction.",
      "PAUSE <timeout> [WRITE|ALL]",
      "    Suspend all, or just write, clients for <timeout> "
      "milliseconds.",
      "REPLY (ON|OFF|SKIP)",
      "    Control the replies sent to the current connection.",
      "SETINFO <attribute> <value>",
      "    Set the library's LIB-NAME or LIB-VER.",
      "SETNAME <name>",
      "    Assign the name <name> to the current connection.",
      "UNPAUSE",
      "    Stop the current client pause, resuming traffic."};
  run_subcommand(c, help);
}

using namespace command_flags;

constexpr std::uint32_t always = noscript | loading | stale | fast | no_auth | allow_busy;

constexpr resp_command rows[] = {
    {.name = "auth",
     .arity = -2,
     .flags = always,
     .run = auth,
     .group = "connection",
     .since = "1.0.0",
     .syntax = "[username] password",
     .summary = "Authenticates the connection.",
     .note = "there are no users yet: only the default one without a password"},
    {.name = "client",
     .arity = -2,
     .flags = noscript | loading | stale,
     .run = client,
     .parts = client_parts,
     .group = "connection",
     .since = "2.4.0",
     .syntax = "subcommand [argument ...]",
     .summary = "A container for client connection commands.",
     .note = "TRACKING is refused; CLIENT itself is never paused"},
    {.name = "echo",
     .arity = 2,
     .flags = loading | stale | fast,
     .run = echo,
     .group = "connection",
     .since = "1.0.0",
     .syntax = "message",
     .summary = "Returns the given string.",
     .note = {}},
    {.name = "hello",
     .arity = -1,
     .flags = always,
     .run = hello,
     .group = "connection",
     .since = "6.0.0",
     .syntax = "[protover [AUTH username password] [SETNAME clientname]]",
     .summary = "Handshakes with the server.",
     .note = {}},
    {.name = "ping",
     .arity = -1,
     .flags = loading | stale | fast,
     .run = ping,
     .group = "connection",
     .since = "1.0.0",
     .syntax = "[message]",
     .summary = "Returns the server's liveliness response.",
     .note = {}},
    {.name = "quit",
     .arity = -1,
     .flags = always,
     .kind = command_kind::control,
     .run = quit,
     .group = "connection",
     .since = "1.0.0",
     .syntax = {},
     .summary = "Closes the connection.",
     .note = {}},
    {.name = "reset",
     .arity = 1,
     .flags = always,
     .kind = command_kind::control,
     .run = reset,
     .group = "connection",
     .since = "6.2.0",
     .syntax = {},
     .summary = "Resets the connection.",
     .note = "the durability too"},
    {.name = "select",
     .arity = 2,
     .flags = loading | stale | fast,
     .run = select,
     .group = "connection",
     .since = "1.0.0",
     .syntax = "index",
     .summary = "Changes the selected database.",
     .note = "there is database 0 only"},
};

} // namespace

std::span<const resp_command> connection_commands() {
  return rows;
}

} // namespace warp::cluster
