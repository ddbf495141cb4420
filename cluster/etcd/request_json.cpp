#include "cluster/etcd/request_json.hpp"

#include "messages/base64.hpp"

#include <nlohmann/json.hpp>

namespace warp::cluster::etcd {

namespace {

using json = nlohmann::json;

void put_range(json& to, const key_range& keys) {
  // An empty key is refused by etcd: everything begins at the smallest key, a zero byte.
  const std::string everything(1, '\0');
  to["key"] = to_base64(keys.prefix && keys.key.empty() ? everything : keys.key);
  if (keys.prefix) to["range_end"] = to_base64(end_of_prefix(keys.key));
}

json body_of(const range_request& request) {
  json body = json::object();
  put_range(body, request.keys);
  if (request.limit != 0) body["limit"] = std::to_string(request.limit);
  if (request.revision != 0) body["revision"] = std::to_string(request.revision);
  if (request.keys_only) body["keys_only"] = true;
  return body;
}

json body_of(const put_request& request) {
  json body = {{"key", to_base64(request.key)}, {"value", to_base64(request.value)}};
  if (request.lease != 0) body["lease"] = std::to_string(request.lease);
  return body;
}

json body_of(const delete_request& request) {
  json body = json::object();
  put_range(body, request.keys);
  return body;
}

json body_of(const compare& c) {
  const bool modified = c.what == compare::target::mod_revision;
  return {{"key", to_base64(c.key)},
          {"result", "EQUAL"},
          {"target", modified ? "MOD" : "CREATE"},
          {modified ? "mod_revision" : "create_revision", std::to_string(c.revision)}};
}

json body_of(const change& one) {
  if (const auto* put = std::get_if<put_request>(&one)) return {{"request_put", body_of(*put)}};
  return {{"request_delete_range", body_of(std::get<delete_request>(one))}};
}

} // namespace

std::string end_of_prefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');
  prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

gateway_call to_call(const range_request& request) {
  return {"/v3/kv/range", body_of(request).dump()};
}

gateway_call to_call(const put_request& request) {
  return {"/v3/kv/put", body_of(request).dump()};
}

gateway_call to_call(const delete_request& request) {
  return {"/v3/kv/deleterange", body_of(request).dump()};
}

gateway_call to_call(const txn_request& request) {
  json body = json::object();
  for (const auto& c : request.compares) body["compare"].push_back(body_of(c));
  for (const auto& one : request.success) body["success"].push_back(body_of(one));
  for (const auto& one : request.failure)
    body["failure"].push_back({{"request_range", body_of(one)}});
  return {"/v3/kv/txn", body.dump()};
}

gateway_call to_call(const lease_grant_request& request) {
  return {"/v3/lease/grant", json{{"TTL", std::to_string(request.ttl_s)}}.dump()};
}

gateway_call to_call(const lease_keepalive_request& request) {
  return {"/v3/lease/keepalive", json{{"ID", std::to_string(request.lease)}}.dump()};
}

gateway_call to_call(const lease_revoke_request& request) {
  return {"/v3/lease/revoke", json{{"ID", std::to_string(request.lease)}}.dump()};
}

gateway_call status_call() {
  return {"/v3/maintenance/status", "{}"};
}

gateway_call watch_call(const std::string& prefix, revision_t from) {
  json create = json::object();
  put_range(create, {prefix, true});
  create["start_revision"] = std::to_string(from);
  return {"/v3/watch", json{{"create_request", std::move(create)}}.dump()};
}

} // namespace warp::cluster::etcd
