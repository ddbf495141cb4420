// What a server knows of itself.

#include "cluster/client.hpp"
#include "cluster/client_admin_call.hpp"
#include "cluster/client_calls.hpp"
#include "messages/conversion.hpp"
#include "storage/slot.hpp"

#include <algorithm>

namespace warp {

namespace {

using cluster::ask_admin;

struct nothing {};

load_evenness read_evenness(wire::LoadEvenness::Reader from) {
  return {from.getEntropyBits(), from.getEvenness(), from.getDivergenceBits(),
          from.getMaxOverMean()};
}

physics_tier read_tier(std::uint8_t number) {
  return static_cast<physics_tier>(std::min<std::uint8_t>(number, 3));
}

void read_horizon(wire::HorizonAdvice::Reader from, horizon_report& to) {
  to.keys_one_in = from.getKeysOneIn();
  to.keys = from.getKeys();
  to.reads = from.getReads();
  to.bytes = from.getBytes();
  for (const auto p : from.getCurve())
    to.curve.push_back({p.getShare(), p.getBytes(), p.getMissRatio(), p.getKeys()});
  to.small_share = from.getSmallShare();
  to.ghost_share = from.getGhostShare();
  to.hits_to_stay = from.getHitsToStay();
  to.named = from.getNamed();
  to.applied = from.getApplied();
  to.proof_reads = from.getProofReads();
  to.miss_ratio_fitted = from.getMissRatioFitted();
  to.miss_ratio_default = from.getMissRatioDefault();
  const auto search = from.getSearch();
  to.search = {.searches = search.getSearches(),
               .settings = search.getSettings(),
               .trouble = std::string{as_view(search.getTrouble())},
               .by_device = search.getByDevice(),
               .small_share = search.getSmallShare(),
               .ghost_share = search.getGhostShare(),
               .hits_to_stay = search.getHitsToStay(),
               .accesses = search.getAccesses(),
               .miss_ratio = search.getMissRatio(),
               .miss_ratio_default = search.getMissRatioDefault()};
}

void read_physics(wire::PhysicsState::Reader from, physics_report& to) {
  to.tier = read_tier(from.getTier());
  to.wanted = read_tier(from.getWanted());
  to.stepped_down = std::string{as_view(from.getSteppedDown())};
  to.steps_down = from.getStepsDown();
  to.samples = from.getSamples();
  to.dropped = from.getDropped();
  to.cpu_s = from.getCpuSeconds();
  to.cpu_share = from.getCpuShare();
  to.keys = from.getKeys();
  to.keys_max = from.getKeysMax();
  to.links = from.getLinks();
  to.saves = from.getSaves();
  to.saved_at_ms = from.getSavedAtMs();
  to.saved_bytes = from.getSavedBytes();
  to.loaded = std::string{as_view(from.getLoaded())};
  for (const auto r : from.getRules())
    to.rules.push_back({std::string{as_view(r.getText())}, r.getStrength()});
  read_horizon(from.getHorizon(), to.horizon);
}

void read_plan(wire::RebalancePlan::Reader from, rebalance_report& to) {
  for (const auto m : from.getMoves())
    to.moves.push_back({std::string{as_view(m.getKey())}, m.getFrom(), m.getTo(),
                        m.getAccessesPerS(), m.getBytes()});
  to.evenness_before = from.getEvennessBefore();
  to.evenness_after = from.getEvennessAfter();
  to.max_over_mean_before = from.getMaxOverMeanBefore();
  to.max_over_mean_after = from.getMaxOverMeanAfter();
  to.bytes = from.getBytes();
  to.relief = from.getRelief();
  to.called_for = from.getCalledFor();
  to.worth = from.getWorth();
}

} // namespace

op_result<quantum_answer> client::quantum_get(std::string_view key,
                                              const quantum_options& options) {
  return state_->call<quantum_answer>(
      [key = std::string{key}, options](wire::Session::Client session, auto out) {
        auto request = session.quantumGetRequest();
        request.setKey(as_data(key));
        request.setMax(
            static_cast<std::uint32_t>(std::min<std::size_t>(options.max, 0xffff'ffffu)));
        request.setMinStrength(options.strength_min);
        request.setValues(options.values);
        return request.send().then(
            [out](capnp::Response<wire::Session::QuantumGetResults>&& answer) {
              if (answer.hasStatus()) return read_status(answer.getStatus());
              *out = {};
              out->present = answer.getPresent();
              out->value = std::string{as_view(answer.getValue())};
              out->type = read_type(answer.getType()).value_or(value_type::bytes);
              out->version = answer.getVersion();
              out->expires_at_ms = answer.getExpiresAtMs();
              for (const auto p : answer.getPartners())
                out->partners.push_back({std::string{as_view(p.getKey())}, p.getStrength(),
                                         p.getDeclared(), p.getPresent(), p.getValueOmitted(),
                                         std::string{as_view(p.getValue())},
                                         read_type(p.getType()).value_or(value_type::bytes)});
              return op_status{};
            });
      },
      {}, false, storage::slot_of(key));
}

op_status client::entangle(std::string_view key, std::span<const std::string> partners,
                           double strength) {
  auto done = state_->call<nothing>(
      [key = std::string{key}, partners = std::vector(partners.begin(), partners.end()),
       strength](wire::Session::Client session, auto) {
        auto request = session.entangleRequest();
        request.setKey(as_data(key));
        auto list = request.initPartners(static_cast<unsigned>(partners.size()));
        for (unsigned i = 0; i < list.size(); ++i) list.set(i, as_data(partners[i]));
        request.setStrength(strength);
        return request.send().then([](capnp::Response<wire::Session::EntangleResults>&& answer) {
          return answer.hasStatus() ? read_status(answer.getStatus()) : op_status{};
        });
      },
      {}, false, storage::slot_of(key));
  return done.status();
}

op_result<entropy_report> client_admin::entropy() {
  return owner_->state_->call<entropy_report>([](wire::Session::Client session, auto out) {
    return ask_admin(
        std::move(session), [](auto admin) { return admin.entropyRequest(); },
        [out](auto& answer) {
          const auto from = answer.getEntropy();
          *out = {from.getShards(),
                  from.getEntropyBitsMax(),
                  from.getAccessesPerS(),
                  from.getBytesPerS(),
                  read_evenness(from.getAccesses()),
                  read_evenness(from.getBytes())};
        });
  });
}

op_result<rebalance_report> client_admin::plan_rebalance(unsigned strategy) {
  return owner_->state_->call<rebalance_report>(
      [strategy](wire::Session::Client session, auto out) {
        return ask_admin(
            std::move(session),
            [strategy](auto admin) {
              auto request = admin.planRebalanceRequest();
              request.setStrategy(static_cast<wire::RebalanceStrategy>(strategy));
              return request;
            },
            [out](auto& answer) {
              *out = {};
              read_plan(answer.getPlan(), *out);
            });
      });
}

op_result<physics_report> client_admin::physics() {
  return owner_->state_->call<physics_report>([](wire::Session::Client session, auto out) {
    return ask_admin(
        std::move(session), [](auto admin) { return admin.physicsRequest(); },
        [out](auto& answer) {
          *out = {};
          read_physics(answer.getPhysics(), *out);
        });
  });
}

op_status client_admin::set_physics_tier(physics_tier tier) {
  auto done = owner_->state_->call<nothing>([tier](wire::Session::Client session, auto) {
    return ask_admin(
        std::move(session),
        [tier](auto admin) {
          auto request = admin.setPhysicsTierRequest();
          request.setTier(static_cast<std::uint8_t>(tier));
          return request;
        },
        [](auto&) {});
  });
  return done.status();
}

op_status client_admin::set_physics_rule(std::string_view rule, double strength) {
  auto done = owner_->state_->call<nothing>(
      [rule = std::string{rule}, strength](wire::Session::Client session, auto) {
        return ask_admin(
            std::move(session),
            [rule, strength](auto admin) {
              auto request = admin.setPhysicsRuleRequest();
              request.setRule(as_text(rule));
              request.setStrength(strength);
              return request;
            },
            [](auto&) {});
      });
  return done.status();
}

} // namespace warp
