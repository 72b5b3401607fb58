"""The layers: one card per file, one line per card here."""

from harness.spec import Operation
from reference_impls.layers.add import add as add
from reference_impls.layers.attention import attention as attention
from reference_impls.layers.avg_pool2d import avg_pool2d as avg_pool2d
from reference_impls.layers.celu import celu as celu
from reference_impls.layers.clip import clip as clip
from reference_impls.layers.concatenate import concatenate as concatenate
from reference_impls.layers.conv1d import conv1d as conv1d
from reference_impls.layers.conv2d import conv2d as conv2d
from reference_impls.layers.dense import dense as dense
from reference_impls.layers.dropout import dropout as dropout
from reference_impls.layers.elu import elu as elu
from reference_impls.layers.gelu import gelu as gelu
from reference_impls.layers.gelu_tanh import gelu_tanh as gelu_tanh
from reference_impls.layers.glu import glu as glu
from reference_impls.layers.group_norm import group_norm as group_norm
from reference_impls.layers.gru import gru as gru
from reference_impls.layers.gru_cell import gru_cell as gru_cell
from reference_impls.layers.hard_sigmoid import hard_sigmoid as hard_sigmoid
from reference_impls.layers.hard_swish import hard_swish as hard_swish
from reference_impls.layers.hard_tanh import hard_tanh as hard_tanh
from reference_impls.layers.identity import identity as identity
from reference_impls.layers.layer_norm import layer_norm as layer_norm
from reference_impls.layers.leaky_relu import leaky_relu as leaky_relu
from reference_impls.layers.log_softmax import log_softmax as log_softmax
from reference_impls.layers.logsigmoid import logsigmoid as logsigmoid
from reference_impls.layers.logsumexp import logsumexp as logsumexp
from reference_impls.layers.lstm import lstm as lstm
from reference_impls.layers.lstm_cell import lstm_cell as lstm_cell
from reference_impls.layers.masked_attention import masked_attention as masked_attention
from reference_impls.layers.max import max_ as max_
from reference_impls.layers.max_pool2d import max_pool2d as max_pool2d
from reference_impls.layers.mean import mean as mean
from reference_impls.layers.mish import mish as mish
from reference_impls.layers.multi_head_attention import multi_head_attention as multi_head_attention
from reference_impls.layers.multiply import multiply as multiply
from reference_impls.layers.power import power as power
from reference_impls.layers.prelu import prelu as prelu
from reference_impls.layers.relu import relu as relu
from reference_impls.layers.relu6 import relu6 as relu6
from reference_impls.layers.reshape import reshape as reshape
from reference_impls.layers.rms_norm import rms_norm as rms_norm
from reference_impls.layers.rnn import rnn as rnn
from reference_impls.layers.rnn_cell import rnn_cell as rnn_cell
from reference_impls.layers.selu import selu as selu
from reference_impls.layers.sigmoid import sigmoid as sigmoid
from reference_impls.layers.silu import silu as silu
from reference_impls.layers.slice import slice_ as slice_
from reference_impls.layers.softmax import softmax as softmax
from reference_impls.layers.softplus import softplus as softplus
from reference_impls.layers.softshrink import softshrink as softshrink
from reference_impls.layers.softsign import softsign as softsign
from reference_impls.layers.square import square as square
from reference_impls.layers.stop_gradient import stop_gradient as stop_gradient
from reference_impls.layers.subtract import subtract as subtract
from reference_impls.layers.sum import sum_ as sum_
from reference_impls.layers.swiglu import swiglu as swiglu
from reference_impls.layers.tanh import tanh as tanh
from reference_impls.layers.tanhshrink import tanhshrink as tanhshrink
from reference_impls.layers.transpose import transpose as transpose

LAYERS = tuple(card for card in list(globals().values()) if isinstance(card, Operation))
"""Every card imported above."""
