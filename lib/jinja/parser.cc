#include "jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "jinja/expression_parser.h"

namespace elastikv::jinja {
namespace {

using StatementKind = Statement::Kind;
using StatementPtr = std::unique_ptr<Statement>;

class Parser {
 public:
  Parser(std::string_view source, Program& program)
      : program_(program), tokens_(source, program.name), expressions_(tokens_) {}

  void run() { program_.body = statements({}); }

 private:
  /// Statements up to a tag that begins with one of `ends`, which is left to be read; up to the end
  /// of the template when there is none.
  Statements statements(std::initializer_list<std::string_view> ends) {
    const Nesting nesting(levels_, tokens_);
    Statements body;
    Statement* output = nullptr;
    const auto put = [&](ExpressionPtr expression) {
      if (output == nullptr) {
        body.push_back(make(StatementKind::kOutput, expression->line));
        output = body.back().get();
      }
      output->expressions.push_back(std::move(expression));
    };
    while (!tokens_.current().is(Token::Kind::kEnd)) {
      const Token& token = tokens_.take();
      if (token.is(Token::Kind::kData)) {
        auto text = std::make_unique<Expression>();
        text->kind = Expression::Kind::kText;
        text->line = token.line;
        text->text = token.text;
        put(std::move(text));
      } else if (token.is(Token::Kind::kPrintBegin)) {
        put(expressions_.tuple());
        tokens_.expect(Token::Kind::kPrintEnd, "end of print statement");
      } else {
        output = nullptr;
        const Token& name = tokens_.current();
        const bool ends_here = std::any_of(ends.begin(), ends.end(),
                                           [&](std::string_view end) { return name.is_name(end); });
        if (ends_here) return body;
        body.push_back(statement());
        tokens_.expect(Token::Kind::kTagEnd, "end of statement block");
      }
    }
    if (ends.size() > 0) fail_open(ends);
    return body;
  }

  [[noreturn]] void fail_open(std::initializer_list<std::string_view> ends) {
    std::string wanted;
    for (const std::string_view end : ends) {
      if (!wanted.empty()) wanted += " or ";
      wanted += fmt::format("'{}'", end);
    }
    tokens_.fail_here(
        fmt::format("Unexpected end of template. Jinja was looking for the following "
                    "tags: {}. The innermost block that needs to be closed is '{}'.",
                    wanted, tags_.back()));
  }

  /// What stands between a tag's end and the tag of its end, which is taken.
  Statements body_until(std::string_view end) {
    Statements body = body_before({end});
    tokens_.take();
    return body;
  }

  /// The same up to one of several tags, which is left to be read.
  Statements body_before(std::initializer_list<std::string_view> ends) {
    tokens_.skip_operator(":");
    tokens_.expect(Token::Kind::kTagEnd, "end of statement block");
    return statements(ends);
  }

  static StatementPtr make(StatementKind kind, int line) {
    auto made = std::make_unique<Statement>();
    made->kind = kind;
    made->line = line;
    return made;
  }

  StatementPtr statement() {
    const Token& token = tokens_.current();
    if (!token.is(Token::Kind::kName)) tokens_.fail_here("tag name expected");
    using Reader = StatementPtr (Parser::*)(int line);
    constexpr std::pair<std::string_view, Reader> kTags[]{
        {"if", &Parser::if_tag},
        {"for", &Parser::for_tag},
        {"set", &Parser::set_tag},
        {"macro", &Parser::macro_tag},
        {"call", &Parser::call_tag},
        {"filter", &Parser::filter_tag},
        {"with", &Parser::with_tag},
        {"generation", &Parser::generation_tag},
        {"print", &Parser::print_tag},
        {"block", &Parser::block_tag},
        {"autoescape", &Parser::autoescape_tag},
        {"break", &Parser::break_tag},
        {"continue", &Parser::continue_tag},
    };
    for (const auto& [name, reader] : kTags) {
      if (!token.is_name(name)) continue;
      tags_.emplace_back(name);
      const int line = tokens_.take().line;
      StatementPtr read = (this->*reader)(line);
      tags_.pop_back();
      return read;
    }
    for (const std::string_view name : {"include", "import", "from", "extends"}) {
      if (token.is_name(name)) {
        tokens_.fail_here(
            fmt::format("templates that read other files are not rendered ({{% {} %}})", name));
      }
    }
    std::string problem = fmt::format("Encountered unknown tag '{}'.", token.text);
    if (!tags_.empty()) {
      problem += fmt::format(" The innermost block that needs to be closed is '{}'.", tags_.back());
    }
    tokens_.fail_here(problem);
  }

  StatementPtr if_tag(int line) {
    StatementPtr made = make(StatementKind::kIf, line);
    while (true) {
      made->expressions.push_back(expressions_.tuple(/*with_condition=*/false));
      made->bodies.push_back(body_before({"elif", "else", "endif"}));
      const Token& tag = tokens_.take();
      if (tag.is_name("elif")) continue;
      made->bodies.push_back(tag.is_name("else") ? body_until("endif") : Statements());
      return made;
    }
  }

  StatementPtr for_tag(int line) {
    StatementPtr made = make(StatementKind::kFor, line);
    made->targets.push_back(expressions_.target("in", /*with_attributes=*/false));
    tokens_.expect_name("in");
    made->expressions.push_back(expressions_.tuple(/*with_condition=*/false, "recursive"));
    made->expressions.push_back(tokens_.skip_name("if") ? expressions_.expression() : nullptr);
    made->recursive = tokens_.skip_name("recursive");
    made->bodies.push_back(body_before({"endfor", "else"}));
    made->has_else = tokens_.take().is_name("else");
    made->bodies.push_back(made->has_else ? body_until("endfor") : Statements());
    made->scopes.resize(3);
    made->choice_target = made->targets[0];
    return made;
  }

  StatementPtr set_tag(int line) {
    StatementPtr made = make(StatementKind::kSet, line);
    made->targets.push_back(expressions_.target({}, /*with_attributes=*/true));
    if (tokens_.skip_operator("=")) {
      made->expressions.push_back(expressions_.tuple());
      return made;
    }
    made->kind = StatementKind::kSetBlock;
    made->expressions.push_back(expressions_.filters(nullptr));
    made->bodies.push_back(body_until("endset"));
    made->scopes.resize(1);
    return made;
  }

  StatementPtr macro_tag(int line) {
    StatementPtr made = make(StatementKind::kMacro, line);
    made->macro = std::make_unique<Macro>();
    made->macro->name = expressions_.plain_name();
    made->macro->parameters = expressions_.signature();
    made->macro->body = body_until("endmacro");
    return made;
  }

  StatementPtr call_tag(int line) {
    StatementPtr made = make(StatementKind::kCallBlock, line);
    made->macro = std::make_unique<Macro>();
    if (tokens_.current().is_operator("(")) made->macro->parameters = expressions_.signature();
    made->expressions.push_back(expressions_.expression());
    if (made->expressions[0]->kind != Expression::Kind::kCall) {
      tokens_.fail_line(line, "expected call");
    }
    made->macro->body = body_until("endcall");
    return made;
  }

  StatementPtr generation_tag(int line) {
    StatementPtr made = make(StatementKind::kGeneration, line);
    made->macro = std::make_unique<Macro>();
    made->macro->body = body_until("endgeneration");
    return made;
  }

  StatementPtr filter_tag(int line) {
    StatementPtr made = make(StatementKind::kFilterBlock, line);
    made->expressions.push_back(expressions_.filters(nullptr, /*first_inline=*/true));
    made->bodies.push_back(body_until("endfilter"));
    made->scopes.resize(1);
    return made;
  }

  StatementPtr with_tag(int line) {
    StatementPtr made = make(StatementKind::kWith, line);
    while (!tokens_.current().is(Token::Kind::kTagEnd)) {
      if (!made->targets.empty()) tokens_.expect_operator(",");
      made->targets.push_back(expressions_.target({}, /*with_attributes=*/false));
      tokens_.expect_operator("=");
      made->expressions.push_back(expressions_.expression());
    }
    made->bodies.push_back(body_until("endwith"));
    made->scopes.resize(1);
    return made;
  }

  StatementPtr print_tag(int line) {
    StatementPtr made = make(StatementKind::kOutput, line);
    while (!tokens_.current().is(Token::Kind::kTagEnd)) {
      if (!made->expressions.empty()) tokens_.expect_operator(",");
      made->expressions.push_back(expressions_.expression());
    }
    return made;
  }

  StatementPtr block_tag(int line) {
    StatementPtr made = make(StatementKind::kBlock, line);
    made->name = tokens_.expect(Token::Kind::kName, "name").text;
    if (tokens_.current().is_name("scoped") || tokens_.current().is_name("required")) {
      tokens_.fail_here("blocks that are scoped or required are not rendered");
    }
    if (std::find(blocks_.begin(), blocks_.end(), made->name) != blocks_.end()) {
      tokens_.fail_here(fmt::format("block '{}' defined twice", made->name));
    }
    blocks_.push_back(made->name);
    made->bodies.push_back(body_until("endblock"));
    tokens_.skip_name(made->name);
    made->scopes.resize(1);
    program_.has_blocks = true;
    return made;
  }

  StatementPtr autoescape_tag(int line) {
    StatementPtr made = make(StatementKind::kScope, line);
    const ExpressionPtr on = expressions_.expression();
    if (on->kind != Expression::Kind::kConstant || !on->constant.is(jinja::Kind::kBoolean) ||
        on->constant.as_boolean()) {
      tokens_.fail_line(line, "only {% autoescape false %} is rendered");
    }
    made->bodies.push_back(body_until("endautoescape"));
    made->scopes.resize(1);
    return made;
  }

  StatementPtr break_tag(int line) { return make(StatementKind::kBreak, line); }
  StatementPtr continue_tag(int line) { return make(StatementKind::kContinue, line); }

  Program& program_;
  TokenStream tokens_;
  ExpressionParser expressions_;
  int levels_ = 0;
  std::vector<std::string> tags_;
  std::vector<std::string> blocks_;
};

}  // namespace

void parse(std::string_view source, Program& program) { Parser(source, program).run(); }

}  // namespace elastikv::jinja
