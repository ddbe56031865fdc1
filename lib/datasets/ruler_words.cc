#include "datasets/ruler_words.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"

namespace elastikv {
namespace {

constexpr std::string_view kAdjectives =
    "able amber ancient angry aware bitter blank blunt bold brave brief bright broad brown "
    "busy calm careful cheap clean clear clever cold common cool crisp curious damp dark "
    "deep dense dim distant double dry dull eager early easy empty exact faint fair false "
    "famous fast few final fine firm flat fond frail free fresh full gentle giant glad "
    "golden grand grave great green grey gross happy hard harsh heavy hidden high hollow "
    "honest huge humble idle inner keen kind lame large late lazy lean light little lively "
    "local lonely long loose loud low lucky mad mean mellow mild modern modest narrow neat "
    "new noble noisy odd old open outer pale plain polite poor proud pure quick quiet rapid "
    "rare raw ready red rich ripe rough round royal rude safe salty scarce sharp short shy "
    "silent silver simple single slim slow small smart smooth soft solid sore sour spare "
    "square stale steady steep stiff strange strict strong sudden sweet swift tall tame "
    "tart tender thick thin tidy tight tiny tired tough true vague vast warm weak wet white "
    "whole wide wild wise wooden yellow young";

constexpr std::string_view kNouns =
    "acorn actor anchor apple apron arch arrow artist attic autumn badge baker ball bank "
    "barn barrel basin basket beach beak bean bear bed bee bell belt bench berry bird blade "
    "blanket boat bone book boot border bottle bowl box branch bread brick bridge broom "
    "brush bucket bud bull button cabin cable cage cake camel camp canal candle canoe cap "
    "card carpet cart castle cave cellar chain chair chalk cheese cherry chest chief child "
    "church circle city clay cliff clock cloud clover coach coal coast coat coin comb comet "
    "copper coral cord corn cotton cow crab crane creek crow crown cup curtain dairy daisy "
    "dance deer desk diamond dish ditch doctor dog doll donkey door dove dragon drawer "
    "dress drum duck eagle ear engine farm feather fence fern ferry field fig finger flag "
    "flame flute foam fog forest fork fountain fox frog fruit garden gate ghost giraffe "
    "glass glove goat goose grain grape grass guest guitar hammer harbor harp harvest hat "
    "hawk hedge heron hill honey hook horn horse hotel house island ivy jacket jar jewel "
    "judge jug jungle kettle key king kitchen kite knee knife ladder lady lake lamb lamp "
    "lantern leaf lemon letter lily lion lizard lock log lute machine magnet map marble "
    "market mask meadow medal melon mill mirror mist monkey moon moss moth mountain mouse "
    "museum nail neck needle nest net night north nose nurse nut oak oar ocean olive onion "
    "orange orchard organ otter oven owl ox paddle page painter palace pan paper parrot "
    "path peach peak pear pearl pebble pen pencil pepper piano pigeon pillow pilot pine "
    "pipe plank plate plum pocket poem pond pony porch potato prince puppet purse queen "
    "quilt rabbit raft rain raven ribbon rice ring river road robin rock roof room root "
    "rope rose ruby saddle sail salt sand scarf school sea seed shadow sheep shelf shell "
    "ship shoe shop silk singer sister skirt sky snail snake snow soap soldier song soup "
    "spade spider spoon spring squirrel stable stamp star statue stone storm story stove "
    "straw street string sugar summer sun swan sword table tailor tea teacher temple tent "
    "thread throne thumb tiger toad toast tooth tower town toy train tray tree trumpet "
    "tulip tunnel turnip turtle uncle valley vase violin wagon wall walnut water wave well "
    "whale wheat wheel whistle willow wind window wing winter wolf wood wool worm yard "
    "zebra";

std::vector<std::string> listed_words(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    const size_t end = std::min(list.find(' '), list.size());
    words.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return words;
}

const std::vector<std::string>& adjectives() {
  static const std::vector<std::string> words = listed_words(kAdjectives);
  return words;
}

const std::vector<std::string>& nouns() {
  static const std::vector<std::string> words = listed_words(kNouns);
  return words;
}

}  // namespace

std::string draw_compound(Draws& draws) {
  const std::string& adjective = draws.one_of(adjectives());
  return fmt::format("{}-{}", adjective, draws.one_of(nouns()));
}

std::vector<std::string> draw_words(size_t count, Draws& draws) {
  std::vector<std::string> words = adjectives();
  words.insert(words.end(), nouns().begin(), nouns().end());
  if (count > words.size()) {
    for (const std::string& adjective : adjectives()) {
      for (const std::string& noun : nouns())
        words.push_back(fmt::format("{}-{}", adjective, noun));
    }
  }
  if (count > words.size())
    fail("{} different words are too many: there are {}", count, words.size());
  std::vector<std::string> drawn;
  for (const size_t place : draws.places(words.size(), count))
    drawn.push_back(std::move(words[place]));
  return drawn;
}

}  // namespace elastikv
