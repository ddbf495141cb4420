// What the universe knows of itself: for everybody which keys belong together, for operators the
// rest.

#include "cluster/physics_backend.hpp"
#include "cluster/rpc_admin_detail.hpp"
#include "cluster/rpc_session_detail.hpp"
#include "storage/quantum_read.hpp"

#include <string>
#include <utility>

namespace warp::cluster {

namespace {

op_status no_physics() {
  return {op_code::not_supported, "this server does not observe what is asked of it"};
}

void write_evenness(const load_evenness& from, wire::LoadEvenness::Builder to) {
  to.setEntropyBits(from.entropy_bits);
  to.setEvenness(from.evenness);
  to.setDivergenceBits(from.divergence_bits);
  to.setMaxOverMean(from.max_over_mean);
}

void write_plan(const rebalance_report& from, wire::RebalancePlan::Builder to) {
  auto moves = to.initMoves(static_cast<unsigned>(from.moves.size()));
  for (unsigned i = 0; i < moves.size(); ++i) {
    const auto& m = from.moves[i];
    moves[i].setKey(as_data(m.key));
    moves[i].setFrom(m.from);
    moves[i].setTo(m.to);
    moves[i].setAccessesPerS(m.accesses_per_s);
    moves[i].setBytes(m.bytes);
  }
  to.setEvennessBefore(from.evenness_before);
  to.setEvennessAfter(from.evenness_after);
  to.setMaxOverMeanBefore(from.max_over_mean_before);
  to.setMaxOverMeanAfter(from.max_over_mean_after);
  to.setBytes(from.bytes);
  to.setRelief(from.relief);
  to.setCalledFor(from.called_for);
  to.setWorth(from.worth);
}

void write_horizon(const horizon_report& from, wire::HorizonAdvice::Builder to) {
  to.setKeysOneIn(from.keys_one_in);
  to.setKeys(from.keys);
  to.setReads(from.reads);
  to.setBytes(from.bytes);
  auto curve = to.initCurve(static_cast<unsigned>(from.curve.size()));
  for (unsigned i = 0; i < curve.size(); ++i) {
    curve[i].setShare(from.curve[i].share);
    curve[i].setBytes(from.curve[i].bytes);
    curve[i].setMissRatio(from.curve[i].miss_ratio);
    curve[i].setKeys(from.curve[i].keys);
  }
  to.setSmallShare(from.small_share);
  to.setGhostShare(from.ghost_share);
  to.setHitsToStay(from.hits_to_stay);
  to.setNamed(from.named);
  to.setApplied(from.applied);
  to.setProofReads(from.proof_reads);
  to.setMissRatioFitted(from.miss_ratio_fitted);
  to.setMissRatioDefault(from.miss_ratio_default);
  const auto& found = from.search;
  auto search = to.initSearch();
  search.setSearches(found.searches);
  search.setSettings(found.settings);
  if (!found.trouble.empty()) search.setTrouble(as_text(found.trouble));
  search.setByDevice(found.by_device);
  search.setSmallShare(found.small_share);
  search.setGhostShare(found.ghost_share);
  search.setHitsToStay(found.hits_to_stay);
  search.setAccesses(found.accesses);
  search.setMissRatio(found.miss_ratio);
  search.setMissRatioDefault(found.miss_ratio_default);
}

void write_physics(const physics_report& from, wire::PhysicsState::Builder to) {
  to.setTier(static_cast<std::uint8_t>(from.tier));
  to.setWanted(static_cast<std::uint8_t>(from.wanted));
  if (!from.stepped_down.empty()) to.setSteppedDown(as_text(from.stepped_down));
  to.setStepsDown(from.steps_down);
  to.setSamples(from.samples);
  to.setDropped(from.dropped);
  to.setCpuSeconds(from.cpu_s);
  to.setCpuShare(from.cpu_share);
  to.setKeys(from.keys);
  to.setKeysMax(from.keys_max);
  to.setLinks(from.links);
  to.setSaves(from.saves);
  to.setSavedAtMs(from.saved_at_ms);
  to.setSavedBytes(from.saved_bytes);
  to.setLoaded(as_text(from.loaded));
  auto rules = to.initRules(static_cast<unsigned>(from.rules.size()));
  for (unsigned i = 0; i < rules.size(); ++i) {
    rules[i].setText(as_text(from.rules[i].text));
    rules[i].setStrength(from.rules[i].strength);
  }
  write_horizon(from.horizon, to.initHorizon());
}

} // namespace

// -- for everybody -------------------------------------------------------------------------------

kj::Promise<void> rpc_session::quantumGet(QuantumGetContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  if (auto status = refusal(1); !status.ok()) return refuse(std::move(status), call);
  auto* const known = context_.options.physics;
  if (!known) return refuse(no_physics(), call);
  const auto params = call.getParams();
  if (params.getMax() > quantum_partners_max)
    return refuse({op_code::invalid_argument, std::to_string(params.getMax()) +
                                                  " partners: at most " +
                                                  std::to_string(quantum_partners_max)},
                  call);
  const auto key = as_view(params.getKey());
  if (auto status = placement_of(key); !status.ok()) return refuse(std::move(status), call);
  auto found = storage::quantum_read(
      context_.engine, key, known->partners_of(key, params.getMax(), params.getMinStrength()),
      params.getValues(), message_bytes_max(context_.engine.options().value_bytes_max) / 2);
  if (!found) return refuse(found.status(), call);
  context_.counters.operations.fetch_add(1 + found->partners.size(), std::memory_order_relaxed);
  auto results = call.getResults();
  results.setPresent(found->present);
  results.setValue(as_data(found->value));
  if (found->type != value_type::bytes) results.setType(write_type(found->type));
  results.setVersion(found->version);
  results.setExpiresAtMs(found->expires_at_ms);
  auto partners = results.initPartners(static_cast<unsigned>(found->partners.size()));
  for (unsigned i = 0; i < partners.size(); ++i) {
    const auto& p = found->partners[i];
    auto to = partners[i];
    to.setKey(as_data(p.key));
    to.setStrength(p.strength);
    to.setDeclared(p.declared);
    to.setPresent(p.present);
    to.setValueOmitted(p.value_omitted);
    if (p.type != value_type::bytes) to.setType(write_type(p.type));
    if (!p.value.empty()) to.setValue(as_data(p.value));
  }
  return kj::READY_NOW;
}

kj::Promise<void> rpc_session::entangle(EntangleContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  const auto params = call.getParams();
  const auto named = params.getPartners();
  if (auto status = refusal(named.size()); !status.ok()) return refuse(std::move(status), call);
  auto* const known = context_.options.physics;
  if (!known) return refuse(no_physics(), call);
  if (auto status = placement_of(as_view(params.getKey())); !status.ok())
    return refuse(std::move(status), call);
  std::vector<std::string> partners;
  for (const auto p : named) partners.emplace_back(as_view(p));
  auto status = known->entangle(as_view(params.getKey()), partners, params.getStrength());
  if (!status.ok()) return refuse(std::move(status), call);
  return kj::READY_NOW;
}

// -- for operators -------------------------------------------------------------------------------

kj::Promise<void> rpc_admin::entropy(EntropyContext call) {
  return beside(
      [known = context_.options.physics]() -> op_result<entropy_report> {
        if (!known) return no_physics();
        return known->entropy();
      },
      [this, call](kj::Own<op_result<entropy_report>> found) mutable {
        auto results = call.getResults();
        if (!found->ok()) return answer_status(found->status(), results);
        const auto& from = **found;
        auto to = results.initEntropy();
        to.setShards(from.shards);
        to.setEntropyBitsMax(from.entropy_bits_max);
        to.setAccessesPerS(from.accesses_per_s);
        to.setBytesPerS(from.bytes_per_s);
        write_evenness(from.accesses, to.initAccesses());
        write_evenness(from.bytes, to.initBytes());
      });
}

kj::Promise<void> rpc_admin::planRebalance(PlanRebalanceContext call) {
  const auto strategy = static_cast<unsigned>(call.getParams().getStrategy());
  return beside(
      [known = context_.options.physics, strategy]() -> op_result<rebalance_report> {
        if (!known) return no_physics();
        if (strategy > 2)
          return op_status{op_code::invalid_argument, "a strategy of a later version"};
        return known->plan_rebalance(strategy);
      },
      [this, call](kj::Own<op_result<rebalance_report>> found) mutable {
        auto results = call.getResults();
        if (!found->ok()) return answer_status(found->status(), results);
        write_plan(**found, results.initPlan());
      });
}

kj::Promise<void> rpc_admin::physics(PhysicsContext call) {
  return beside(
      [known = context_.options.physics]() -> op_result<physics_report> {
        if (!known) return no_physics();
        return known->report();
      },
      [this, call](kj::Own<op_result<physics_report>> found) mutable {
        auto results = call.getResults();
        if (!found->ok()) return answer_status(found->status(), results);
        write_physics(**found, results.initPhysics());
      });
}

kj::Promise<void> rpc_admin::setPhysicsTier(SetPhysicsTierContext call) {
  const auto tier = call.getParams().getTier();
  return beside(
      [known = context_.options.physics, tier]() -> op_status {
        if (!known) return no_physics();
        if (tier > 3)
          return {op_code::invalid_argument,
                  "there is no tier T" + std::to_string(tier) + ": they are T0 to T3"};
        return known->set_tier(static_cast<physics_tier>(tier));
      },
      [this, call](kj::Own<op_status> status) mutable {
        answer_status(*status, call.getResults());
      });
}

kj::Promise<void> rpc_admin::setPhysicsRule(SetPhysicsRuleContext call) {
  const auto params = call.getParams();
  return beside(
      [known = context_.options.physics, rule = std::string{as_view(params.getRule())},
       strength = params.getStrength()]() -> op_status {
        if (!known) return no_physics();
        return known->set_rule(rule, strength);
      },
      [this, call](kj::Own<op_status> status) mutable {
        answer_status(*status, call.getResults());
      });
}

} // namespace warp::cluster
