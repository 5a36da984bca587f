#!/usr/bin/env python3
"""Writes a small random Llama model, as GGUF, that says " word" after " word" and never stops by itself.

Every token that it can say is one whole word of ASCII with its space: one token is one chunk of complete UTF-8, so that
counts of chunks and of tokens are the same, and a test may compare them. The weights are random with a fixed seed: the
file is the same on every machine that has the same numpy. Needs numpy and gguf, and no network.

How it keeps to its words: channel 0 of the hidden state is the same positive constant for every token, and no layer
writes to it. The output weights of that channel are zero for words and far below zero for everything else.
"""

import sys

import gguf
import numpy as np

NAME = "tiny-words"
SEED = 20
CONTEXT = 4096
WIDTH = 256
LAYERS = 4
HEADS = 4
KV_HEADS = 2
FEED_FORWARD = 512
CONSTANT = 8.0
NEVER = -20.0

ROLES = ["<|system|>", "<|user|>", "<|assistant|>"]
END = "<|end|>"
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

WORDS = """
a about above across again all almost along also always amber an and answer any apple around as at autumn away back
barn be because bell below beside best between big bird black blue boat book both bread bridge bright bring brook brown
but by calm candle cart castle chair cherry city clay clear clock cloud coast cold copper corner could count cross dark
dawn day deep deer door down dream dry each early east edge evening every far farm feather fern few field find fire
first fish five flame flat flower fog for forest four fox from frost garden gate gentle give glass go gold grain grass
green grey hall hand harbour hay hazel he hear heart heavy here hill hold home honey horse house how ice if in into
iron island ivory jar keep key kind lake lamp land lantern large last leaf left less letter light like linen little
long low make many map maple meadow mill mist moon more morning moss mountain much near needle nest never new night no
north not oak oar ocean of often old on once one only open or orchard other our out over owl paper path pear pebble
pine plain plum pond quick quiet rain raven red reed ribbon ridge right ripe river road robin roof room rope rose round
sail salt same sand sea seed seven shade she shell shore short silver six sky slow small smoke snow so soft some song
south spring star steel still stone storm stream street summer sun swan table tall than that the then there they thin
this thread three through tide to tower town tree two under until up valley very village wall warm was water wave way
we well west wheat wheel when where which white wide wild wind window winter with wood wool word yard year yellow yes
""".split()


def byte_alphabet():
    """The characters by which byte-level BPE writes the 256 bytes: printable ones as they are, others from U+0100 on."""
    printable = set(range(0x21, 0x7F)) | set(range(0xA1, 0xAD)) | set(range(0xAE, 0x100))
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def vocabulary():
    """The tokens with their types; the words come last."""
    alphabet = byte_alphabet()
    space = alphabet[0x20]
    control = [*ROLES, END]
    words = [space + word for word in WORDS]
    tokens = control + alphabet + words
    types = [gguf.TokenType.CONTROL] * len(control) + [gguf.TokenType.NORMAL] * (len(tokens) - len(control))
    # A tokenizer of this kind must have a merge. Words that stand in the list are found whole, without any.
    return tokens, types, [f"{space} a"]


def weights(tokens, words):
    """The tensors by their names."""
    draw = np.random.default_rng(SEED)

    def matrix(rows, columns, spread):
        return draw.standard_normal((rows, columns), dtype=np.float32) * np.float32(spread)

    kept = np.float32(WIDTH**-0.5)
    head = WIDTH // HEADS
    embedding = matrix(tokens, WIDTH, 1.0)
    embedding[:, 0] = CONSTANT
    tensors = {"token_embd.weight": embedding}
    for layer in range(LAYERS):
        block = {
            "attn_norm": np.ones(WIDTH, np.float32),
            "attn_q": matrix(HEADS * head, WIDTH, kept),
            "attn_k": matrix(KV_HEADS * head, WIDTH, kept),
            "attn_v": matrix(KV_HEADS * head, WIDTH, kept),
            "attn_output": matrix(WIDTH, HEADS * head, kept),
            "ffn_norm": np.ones(WIDTH, np.float32),
            "ffn_gate": matrix(FEED_FORWARD, WIDTH, kept),
            "ffn_up": matrix(FEED_FORWARD, WIDTH, kept),
            "ffn_down": matrix(WIDTH, FEED_FORWARD, FEED_FORWARD**-0.5),
        }
        block["attn_output"][0] = 0
        block["ffn_down"][0] = 0
        tensors.update({f"blk.{layer}.{name}.weight": tensor for name, tensor in block.items()})
    tensors["output_norm.weight"] = np.ones(WIDTH, np.float32)
    output = matrix(tokens, WIDTH, 2 * kept)
    output[: tokens - words] = 0
    output[:, 0] = 0
    output[: tokens - words, 0] = NEVER
    tensors["output.weight"] = output
    return tensors


def main(path):
    """Writes the model to `path`."""
    tokens, types, merges = vocabulary()
    assert len(set(tokens)) == len(tokens), "a word stands twice in the list"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(NAME)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_vocab_size(len(tokens))
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    end = tokens.index(END)
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_pad_token_id(end)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    for name, tensor in weights(len(tokens), len(WORDS)).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: tiny_model.py FILE.gguf")
    main(sys.argv[1])
