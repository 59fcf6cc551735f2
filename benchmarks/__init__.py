"""What faceguard costs on top of the network passes it cannot do without: ratios of two sides measured in one run."""
